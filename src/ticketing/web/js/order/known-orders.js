// Ids and emails of orders that were opened in this tab, by order reference.

import { tabStorage } from '../lib/storage.js';

/** Lets `/o/{reference}` load the order by its id, which also works for staff, who see orders of others. */
export function rememberOrder(order, email) {
  tabStorage.set(`ticketing.reference.${order.reference}`, { id: order.id, email });
}

/**
 * A reference in its usual form, however it was typed: in any case, without its dash or with another one. Other texts
 * stay as they are.
 */
export function usualReference(text) {
  const symbols = text.normalize('NFKC').replace(/[\s\p{Pd}\u2212\u00ad\u200b]/gu, '').toUpperCase();
  return /^[2-9A-HJKMNP-Z]{8}$/.test(symbols) ? `${symbols.slice(0, 4)}-${symbols.slice(4)}` : text;
}

export const knownOrder = (reference) => tabStorage.get(`ticketing.reference.${reference}`);
