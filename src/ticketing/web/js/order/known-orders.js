// Orders that this tab has seen, by reference.

import { forThisTab } from '../lib/storage.js';

/** Lets `/o/{reference}` find the order by its id; staff may see orders that are not their own. */
export function rememberOrder(order, email) {
  forThisTab.set(`ticketing.reference.${order.reference}`, { id: order.id, email });
}

export const knownOrder = (reference) => forThisTab.get(`ticketing.reference.${reference}`);
