// Orders that this tab has seen, by reference.

import { tabStorage } from '../lib/storage.js';

/** Lets `/o/{reference}` find the order by its id; staff may see orders that are not their own. */
export function rememberOrder(order, email) {
  tabStorage.set(`ticketing.reference.${order.reference}`, { id: order.id, email });
}

export const knownOrder = (reference) => tabStorage.get(`ticketing.reference.${reference}`);
