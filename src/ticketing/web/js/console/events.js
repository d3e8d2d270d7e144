// The organizer's events: availability, prices, publishing and cancelling, and the form for a new event.

import { get, getPage, post } from '../api/client.js';
import { formatShortDateTime, ownZone } from '../lib/dates.js';
import { isolate, joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { isZone } from '../lib/zoned-time.js';
import { amountField } from '../ui/amount-field.js';
import { input, labelled, options, runWithNotice } from '../ui/form-controls.js';
import { showNotice } from '../ui/notice.js';
import { timeField } from '../ui/time-field.js';
import { t } from '../words/translate.js';
import { loadedDetails } from './loaded-details.js';
import { drawChanges } from './plan-sync.js';

export function eventsBox(org) {
  const rows = el('div', { class: 'stack', dataset: { testid: 'console-events' } });
  const box = el('section', { class: 'box' }, el('h2', {}, t('console.events')), rows);
  const refresh = async () => {
    const { data } = await getPage(`/orgs/${org.id}/events?limit=100`);
    fill(
      rows,
      data.length > 0 ? data.map((event) => eventRow(org, event, refresh)) : el('p', { class: 'muted' }, t('console.no_events')),
    );
  };
  return { box, refresh };
}

function eventRow(org, event, refresh) {
  const counts = event.availability;
  const stepButton = (name, path, kind = '') =>
    el(
      'button',
      {
        type: 'button',
        class: `button small ${kind}`,
        dataset: { testid: `console-${name}`, event: event.id },
        onclick: () => run(name, path),
      },
      t(`console.${name}`),
    );
  const run = (name, path) => {
    if (name === 'cancel' && !confirm(t('console.cancel_sure', { title: event.title }))) return;
    runWithNotice(async () => {
      await post(`/orgs/${org.id}/events/${event.id}/${path}`);
      if (name === 'publish') showNotice(t('console.published', { title: event.title }), { kind: 'good' });
      await refresh();
    });
  };
  return el(
    'div',
    { class: 'console-event', dataset: { testid: 'console-event', event: event.id } },
    el(
      'div',
      { class: 'box-head' },
      el(
        'div',
        { class: 'grow' },
        el('strong', {}, event.title),
        ' ',
        el('span', { class: `tag tag-${event.status}` }, t(`status.${event.status}`)),
        el(
          'div',
          { class: 'muted small-text' },
          joined([
            formatShortDateTime(event.starts_at, event.timezone),
            event.venue?.name,
            counts?.capacity && t('home.left', counts),
          ]),
        ),
      ),
      el(
        'div',
        { class: 'actions' },
        event.status === 'draft' && stepButton('publish', 'publish', 'primary'),
        event.status === 'published' && stepButton('cancel', 'cancel', 'danger'),
        el('a', { class: 'button small', href: `/e/${event.id}` }, t('console.view')),
      ),
    ),
    event.status !== 'cancelled' && [
      loadedDetails('console.prices', 'console-prices', (body) => drawPrices(org, event.id, body)),
      event.has_seats && loadedDetails('plan.title', 'console-plan', (body) => drawChanges(org, event, body, refresh)),
    ],
  );
}

async function drawPrices(org, eventId, body) {
  const event = await get(`/events/${eventId}`);
  const categories = event.has_seats
    ? (await get(`/events/${eventId}/seatmap?plan=${event.plan_version ?? 0}`)).categories.map((category) => category.name)
    : [];
  const priced = new Set(event.ticket_types.flatMap((type) => type.categories ?? []));
  const line = (type) =>
    el(
      'li',
      {},
      el('span', { class: 'grow' }, joined([type.name, joined(type.categories ?? [], ', '), type.capacity])),
      el('strong', {}, formatMoney(type.price)),
    );
  const refresh = () => drawPrices(org, eventId, body);
  fill(
    body,
    el('ul', { class: 'picked' }, event.ticket_types.map(line)),
    priceForm(
      org,
      event,
      categories.filter((name) => !priced.has(name)),
      refresh,
    ),
  );
}

function priceForm(org, event, categories, refresh) {
  const choices = [['', t('console.without_seat')], ...categories.map((name) => [name, name])];
  const price = amountField('price', t('console.price'), event);
  const form = el(
    'form',
    { class: 'form-grid', dataset: { testid: 'price-form' } },
    labelled('console.price_name', input('name', { required: true, maxlength: 50 })),
    price.field,
    labelled('console.price_for', el('select', { name: 'category' }, options(choices, categories[0] ?? ''))),
    labelled('console.capacity', input('capacity', { type: 'number', min: 1, max: 1_000_000 })),
    el('button', { class: 'button' }, t('console.price_add')),
    price.shown,
  );
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    const { name, category, capacity } = Object.fromEntries(new FormData(form));
    const body = { name, price: price.read(), ...(category ? { categories: [category] } : { capacity: Number(capacity) }) };
    return runWithNotice(async () => {
      await post(`/orgs/${org.id}/events/${event.id}/ticket-types`, body);
      await refresh();
    });
  });
  return form;
}

/** The form for a new event. The seats of its venue are created right away, so that prices can be set per category. */
export function newEventBox(org, refresh) {
  const venue = el('select', { name: 'venue_id', dataset: { testid: 'event-venue' } });
  const zoneControl = input('timezone', { value: ownZone(), required: true });
  const ownZoneField = labelled('console.timezone', zoneControl);
  let zones = new Map();
  const zone = () => zones.get(venue.value) ?? (isZone(zoneControl.value) ? zoneControl.value : 'UTC');
  const startsAt = timeField('starts_at', t('console.starts'), zone, { required: true });
  const followVenue = () => {
    ownZoneField.hidden = zoneControl.disabled = zones.has(venue.value);
    startsAt.refresh();
  };
  venue.addEventListener('change', followVenue);
  zoneControl.addEventListener('input', () => {
    zoneControl.setCustomValidity(isZone(zoneControl.value) ? '' : t('console.timezone_wrong'));
    startsAt.refresh();
  });
  const form = el(
    'form',
    { class: 'stack', dataset: { testid: 'event-form' } },
    el(
      'div',
      { class: 'form-grid' },
      labelled('console.event_title', input('title', { required: true, maxlength: 200 })),
      labelled('console.venue', venue),
      ownZoneField,
      startsAt.field,
      labelled('console.currency', input('currency', { value: 'EUR', pattern: '[A-Z]{3}', required: true, maxlength: 3 })),
      labelled('console.max_per_buyer', input('max_per_buyer', { type: 'number', min: 1, max: 1000 })),
      startsAt.shown,
    ),
    labelled('console.description', el('textarea', { name: 'description', maxlength: 10_000 })),
    el('div', {}, el('button', { class: 'button primary', dataset: { testid: 'event-create' } }, t('console.event_create'))),
  );
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    runWithNotice(() => createEvent(org, form, startsAt, refresh));
  });
  const loadVenues = async () => {
    const venues = await get(`/orgs/${org.id}/venues?limit=100`);
    fill(
      venue,
      options(
        [['', t('console.no_venue')], ...venues.map(({ id, name, capacity }) => [id, `${isolate(name)} (${capacity})`])],
        venues[0]?.id ?? '',
      ),
    );
    zones = new Map(venues.map(({ id, timezone }) => [id, timezone]));
    followVenue();
  };
  return { box: el('details', { class: 'box' }, el('summary', {}, t('console.new_event')), form), loadVenues };
}

async function createEvent(org, form, startsAt, refresh) {
  const { title, venue_id, timezone, currency, description, max_per_buyer } = Object.fromEntries(new FormData(form));
  const body = {
    title,
    starts_at: startsAt.read(),
    currency,
    ...(venue_id ? { venue_id } : { timezone }),
    ...(description && { description }),
    ...(max_per_buyer && { max_per_buyer: Number(max_per_buyer) }),
  };
  const event = await post(`/orgs/${org.id}/events`, body);
  // The draft exists now. If the next request fails, the form must not create a second one.
  form.reset();
  startsAt.refresh();
  try {
    if (venue_id) await post(`/orgs/${org.id}/events/${event.id}/seats/sync`);
    showNotice(t('console.event_created', { title }), { kind: 'good' });
  } finally {
    await refresh();
  }
}
