// The notice above a sale that is not open: why, and before the sale a countdown and its calendar entry.

import { get } from '../api/client.js';
import { el, setText } from '../lib/dom.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';
import { saleWords } from './sale.js';
import './sale-countdown.js';

const CLOCK_MS = 500;
// How often a page asks whether held places without seats have been sold: the live updates do not tell.
const PLACES_MS = 15_000;

/** Returns the notice, which follows the store. */
export function saleNotice(store) {
  const { event } = store;
  const words = el('p', { role: 'status' });
  const start = el(
    'div',
    { class: 'sale-start' },
    el('sale-countdown', { at: event.sales_start_at ?? '' }),
    el(
      'a',
      { class: 'button small', href: `/e/${encodeURIComponent(event.id)}/sale.ics`, dataset: { testid: 'sale-calendar' } },
      icon('calendar', 18),
      t('sale.calendar'),
    ),
  );
  const node = el('div', { class: 'closed', dataset: { testid: 'closed' } }, words);
  const update = () => {
    node.dataset.sale = store.sale;
    // What this buyer holds counts as held: nothing has to be said about it.
    node.hidden = store.sale === 'open' || (store.reservation !== null && !store.isClosed);
    setText(words, saleWords(event, store.sale));
    if (store.sale === 'not_yet') node.append(start);
    else start.remove();
  };
  store.on('sale reservation', update);
  update();
  return node;
}

/** Opens and closes the sale on time, and keeps apart what is sold and what is held without seats. */
export function followSale(store) {
  setInterval(() => store.updateSale(), CLOCK_MS);
  if (store.areaTypes.length === 0) return;
  const refresh = async () => {
    if (!document.hidden && ['all_taken', 'sold_out'].includes(store.sale)) await refreshPlaces(store);
    setTimeout(refresh, PLACES_MS * (0.8 + Math.random() * 0.4));
  };
  store.on('sale', () => ['all_taken', 'sold_out'].includes(store.sale) && refreshPlaces(store));
  setTimeout(refresh, PLACES_MS);
}

async function refreshPlaces(store) {
  const event = await get(`/events/${store.event.id}`).catch(() => null);
  if (event) store.setPlaces(event.ticket_types);
}
