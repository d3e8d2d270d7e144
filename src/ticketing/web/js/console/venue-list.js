// The organizer's venues: size and version of the plan, and the import of the next version.

import { get } from '../api/client.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { planImport } from './plan-import.js';

export function venuesBox(org, done) {
  const rows = el('div', { class: 'stack', dataset: { testid: 'console-venues' } });
  const box = el('section', { class: 'box', hidden: true }, el('h2', {}, t('console.venues')), rows);
  const refresh = async () => {
    const venues = await get(`/orgs/${org.id}/venues?limit=100`);
    box.hidden = venues.length === 0;
    fill(
      rows,
      venues.map((venue) => venueRow(org, venue, done)),
    );
  };
  return { box, refresh };
}

function venueRow(org, venue, done) {
  const { capacity, plan_version: version } = venue;
  return el(
    'div',
    { class: 'console-event', dataset: { testid: 'console-venue' } },
    el(
      'div',
      {},
      el('strong', {}, venue.name),
      el(
        'div',
        { class: 'muted small-text' },
        joined([venue.city, t('plan.seats', { count: capacity }), t('plan.version', { version })]),
      ),
    ),
    el(
      'details',
      { class: 'prices-edit' },
      el('summary', { class: 'link' }, t('plan.new_version')),
      planImport(org, { label: t('plan.save_version'), path: `/venues/${venue.id}/plans/import`, done }),
    ),
  );
}
