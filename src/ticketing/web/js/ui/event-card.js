// An event as a card: date block, title, venue, lowest price, and a bar of the availability.

import { dateBlockParts, formatTime } from '../lib/dates.js';
import { joined } from '../lib/directions.js';
import { el } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { t } from '../words/translate.js';
import { formatVenue } from './event-header.js';

export function eventCard(event) {
  const zone = event.timezone;
  const { weekday, day, month } = dateBlockParts(event.starts_at, zone);
  return el(
    'a',
    { class: 'card', href: `/e/${encodeURIComponent(event.id)}`, dataset: { testid: 'event-card', event: event.id } },
    el('span', { class: 'date-block' }, el('span', {}, weekday), el('strong', {}, day), el('span', {}, month)),
    el(
      'span',
      { class: 'card-body' },
      el('span', { class: 'card-title' }, event.title),
      el('span', { class: 'muted' }, joined([formatTime(event.starts_at, zone), formatVenue(event)])),
      el(
        'span',
        { class: 'card-foot' },
        event.price_from &&
          el(
            'strong',
            {},
            event.price_from.amount === 0 ? t('home.from_free') : t('home.from', { price: formatMoney(event.price_from) }),
          ),
        availabilityBar(event.availability),
      ),
    ),
  );
}

function availabilityBar(counts) {
  if (!counts?.capacity) return null;
  if (!counts.available) return el('span', { class: 'tag' }, t(counts.held > 0 ? 'home.all_taken' : 'home.sold_out'));
  const share = Math.max(2, Math.round((counts.available / counts.capacity) * 100));
  const bar = el('span', { class: 'bar', 'aria-hidden': 'true' }, el('span', { class: 'bar-fill' }));
  bar.firstChild.style.width = `${share}%`;
  return el('span', { class: 'card-left' }, bar, el('span', { class: 'muted small-text' }, t('home.left', counts)));
}
