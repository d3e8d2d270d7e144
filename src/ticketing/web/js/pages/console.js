// /console: the events, venues and orders of one organization at a time.

import { ensureLogin } from '../account/login-form.js';
import { get, post } from '../api/client.js';
import { eventsBox, newEventBox } from '../console/events.js';
import { ordersBox } from '../console/orders.js';
import { venuesBox } from '../console/venue-list.js';
import { newVenueBox } from '../console/venues.js';
import { el, fill } from '../lib/dom.js';
import { persistentStorage } from '../lib/storage.js';
import { input, labelled, options, runWithNotice } from '../ui/form-controls.js';
import { t } from '../words/translate.js';

const SLOT = 'ticketing.organization';

export async function open(main) {
  if (!(await ensureLogin(t('login.to_see')))) return location.assign('/');
  const orgs = await get('/orgs?limit=100');
  const body = el('div', { class: 'console' });
  const chosen = orgs.find((org) => org.id === persistentStorage.get(SLOT)) ?? orgs[0];
  const select = el(
    'select',
    { dataset: { testid: 'console-org' } },
    options(
      orgs.map((org) => [org.id, org.name]),
      chosen?.id,
    ),
  );
  const show = () => {
    const org = orgs.find((candidate) => candidate.id === select.value);
    persistentStorage.set(SLOT, org.id);
    runWithNotice(() => drawOrganization(body, org));
  };
  select.addEventListener('change', show);
  fill(
    main,
    el(
      'section',
      { class: 'console' },
      el(
        'div',
        { class: 'console-head' },
        el('h1', {}, t('console.title')),
        chosen && labelled('console.organization', select),
        chosen && el('a', { class: 'button', href: '/door' }, t('door.title')),
      ),
      !chosen && el('p', {}, t('console.none')),
      body,
      newOrgBox(!chosen),
    ),
  );
  return chosen && show();
}

async function drawOrganization(body, org) {
  const events = eventsBox(org);
  const orders = ordersBox(org);
  const event = newEventBox(org, events.refresh);
  const refreshVenues = () => Promise.all([venues.refresh(), event.loadVenues()]);
  const venues = venuesBox(org, refreshVenues);
  fill(body, events.box, event.box, venues.box, newVenueBox(org, refreshVenues), orders.box);
  await Promise.all([events.refresh(), orders.refresh(), refreshVenues()]);
}

function newOrgBox(isOpen) {
  const form = el(
    'form',
    { class: 'form-grid', dataset: { testid: 'org-form' } },
    labelled('console.org_name', input('name', { required: true, maxlength: 200 })),
    el('div', {}, el('button', { class: 'button primary' }, t('console.create'))),
  );
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    const name = form.elements.namedItem('name').value.trim();
    runWithNotice(async () => {
      const org = await post('/orgs', { name });
      persistentStorage.set(SLOT, org.id);
      location.reload();
    });
  });
  return el('details', { class: 'box', open: isOpen }, el('summary', {}, t('console.new_org')), form);
}
