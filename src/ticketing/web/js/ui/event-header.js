// The header of an event page: title, date, venue, organizer and description. Matches what the server renders.

import { formatLongDateTime } from '../lib/dates.js';
import { joined } from '../lib/directions.js';
import { el } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { icon } from './icons.js';

export const formatVenue = (event) => joined([event.venue?.name, event.venue?.city], ', ');

export function eventHeader(event) {
  const details = [
    ['calendar', formatLongDateTime(event.starts_at, event.timezone)],
    ['place', formatVenue(event)],
    ['ticket', event.organization?.name && t('event.by', { name: event.organization.name })],
  ];
  return el(
    'header',
    { class: 'event-head' },
    el('h1', {}, event.title),
    el(
      'p',
      { class: 'facts muted' },
      details.filter(([, text]) => text).map(([name, text]) => el('span', {}, icon(name, 18), text)),
    ),
    event.description && el('p', { class: 'about' }, event.description),
  );
}

/** Why nothing can be bought now; empty if the event is on sale. */
export function salesClosedReason(event, now) {
  if (event.status === 'cancelled') return t('event.cancelled');
  if (event.status === 'draft') return t('event.draft');
  if (event.status !== 'published') return t('event.not_on_sale');
  if (event.sales_start_at && Date.parse(event.sales_start_at) > now)
    return t('event.not_yet', { date: formatLongDateTime(event.sales_start_at, event.timezone) });
  if (event.sales_end_at && Date.parse(event.sales_end_at) < now) return t('event.over');
  if (event.availability?.capacity > 0 && event.availability.available === 0) return t('event.sold_out');
  return '';
}
