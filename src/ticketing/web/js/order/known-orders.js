// Ids and emails of orders that were opened in this tab, by order reference.

import { tabStorage } from '../lib/storage.js';

/** Lets `/o/{reference}` load the order by its id, which also works for staff, who see orders of others. */
export function rememberOrder(order, email) {
  tabStorage.set(`ticketing.reference.${order.reference}`, { id: order.id, email });
}

export const knownOrder = (reference) => tabStorage.get(`ticketing.reference.${reference}`);
