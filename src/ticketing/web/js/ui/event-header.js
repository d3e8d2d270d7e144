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
