// Whether an event's tickets can be bought now. Decides and says the same as the server (`sales.py`, `prerender.py`).

import { formatLongDateTime } from '../lib/dates.js';
import { t } from '../words/translate.js';

// An event without an end is over this long after its start, as on the server.
const ASSUMED_LENGTH_MS = 86_400_000;

/**
 * open | not_yet | over | cancelled | not_on_sale | draft | all_taken | sold_out.
 *
 * `left` are the places that are available and held now: what is held may come back, what is sold does not.
 */
export function saleState(event, now, left = event.availability) {
  if (event.status === 'cancelled' || event.status === 'draft') return event.status;
  if (event.status !== 'published') return 'not_on_sale';
  if (event.sales_start_at && Date.parse(event.sales_start_at) > now) return 'not_yet';
  const endsAt = event.ends_at ? Date.parse(event.ends_at) : Date.parse(event.starts_at) + ASSUMED_LENGTH_MS;
  if (endsAt <= now || (event.sales_end_at && Date.parse(event.sales_end_at) <= now)) return 'over';
  if (!event.availability?.capacity || left.available > 0) return 'open';
  return left.held > 0 ? 'all_taken' : 'sold_out';
}

/** What is said of a sale in this state; empty while it is open. */
export const saleWords = (event, state) =>
  state === 'open' ? '' : t(`sale.${state}`, { date: formatLongDateTime(event.sales_start_at, event.timezone) });
