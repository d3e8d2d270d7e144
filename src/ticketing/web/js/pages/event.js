// /e/{id}: the map, the panel and the list of seats, which share one PurchaseStore.

import { BufferedSeatStream } from '../api/buffered-seat-stream.js';
import { get } from '../api/client.js';
import { onHoldChange } from '../api/hold-changes.js';
import { onSessionChange } from '../api/session.js';
import { holdPanel } from '../buying/hold-panel.js';
import { keepPicks } from '../buying/kept-picks.js';
import { showPurchaseNotices } from '../buying/purchase-notices.js';
import { PurchaseStore } from '../buying/purchase-store.js';
import { followSale, saleNotice } from '../buying/sale-notice.js';
import { selectionPanel } from '../buying/selection-panel.js';
import { joined } from '../lib/directions.js';
import { el, fill, oncePerFrame } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { showTooltip, statusLegend } from '../seatmap/map-elements.js';
import { SeatList } from '../seatmap/seat-list.js';
import { SeatMap } from '../seatmap/seat-map.js';
import { STATUS_NAMES, Seats } from '../seatmap/seats.js';
import { showConnectionState } from '../ui/connection-bar.js';
import { eventHeader } from '../ui/event-header.js';
import { showNotFound } from '../ui/not-found.js';
import { t } from '../words/translate.js';

// Opened before the event is loaded, and kept when that fails, for the next try.
let earlyStream = null;

export async function open(main, eventId) {
  const path = `/events/${encodeURIComponent(eventId)}`;
  // The server renders public events only, with the version of the seating plan: the plan and the stream can then be
  // requested in parallel with the event.
  const renderedPlanVersion = main.querySelector('[data-plan]')?.dataset.plan;
  const earlyPlan = renderedPlanVersion ? fetchSeatPlan(path, renderedPlanVersion) : null;
  // It rejects with the event, whose error is reported.
  earlyPlan?.catch(() => null);
  if (renderedPlanVersion !== undefined) earlyStream ??= new BufferedSeatStream(eventId);
  const event = await findEvent(path);
  if (!event) return showNotFound(main);
  event.ticket_types ??= [];
  const isSamePlan = String(event.plan_version) === renderedPlanVersion;
  const seatmap = event.has_seats ? await (isSamePlan ? earlyPlan : fetchSeatPlan(path, event.plan_version)) : null;
  const store = new PurchaseStore(event, seatmap?.seats?.length > 0 ? new Seats(seatmap, event.ticket_types) : null);
  document.title = joined([event.title, t('brand')]);
  const live = drawPage(main, store);
  showPurchaseNotices(store);
  keepPicks(store);
  connectStream(store, live);
  followSale(store);
  onSessionChange(() => store.resumeHold());
  onHoldChange(() => store.checkHold());
  return store.resumeHold();
}

/** Plans are cached for a year, which is safe because the URL contains the version. */
const fetchSeatPlan = (path, version) => get(`${path}/seatmap?plan=${version ?? 0}`);

/**
 * Loads the event; null if it does not exist or is a draft of another organization. The server renders pages without a
 * session, so a draft is a 404 there and may still be visible to this user.
 */
async function findEvent(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error.status === 404 || error.status === 422) return null;
    throw error;
  }
}

function drawPage(main, store) {
  const panel = el('aside', { class: 'panel', 'aria-label': t('panel.title'), dataset: { testid: 'panel' } });
  const mapHost = store.seats && el('div', { class: 'map' });
  const listHost =
    store.seats &&
    el(
      'section',
      { class: 'list-part', id: 'list' },
      el('h2', {}, t('list.title')),
      el('p', { class: 'muted' }, t('list.explain')),
    );
  const page = el(
    'article',
    { class: store.seats ? 'event' : 'event no-map', dataset: { testid: 'event' } },
    eventHeader(store.event),
    saleNotice(store),
    store.seats && el('a', { class: 'skip', href: '#list' }, t('list.skip')),
    store.seats && el('div', { class: 'map-part' }, mapHost, statusLegend()),
    panel,
    listHost,
  );
  fill(main, page);
  const map = store.seats && drawMap(mapHost, store);
  if (store.seats) addSeatList(listHost, panel, store);
  keepPanelCurrent(panel, store);
  return map?.canvas ?? page;
}

/** Adds the list and, below it, a button back to the panel: a shortcut past all prices for keyboard users. */
function addSeatList(host, panel, store) {
  new SeatList(host, store);
  const toPanel = el(
    'button',
    {
      type: 'button',
      class: 'link',
      dataset: { testid: 'list-to-panel' },
      onclick: () => (panel.querySelector('[data-testid=hold-button]:enabled') ?? panel.querySelector('button, input'))?.focus(),
    },
    t('list.to_panel'),
  );
  host.append(toPanel);
}

function drawMap(host, store) {
  const map = new SeatMap(host, store.seats, {
    toggle: (number) => store.toggle(number),
    point: (number, where) => showTooltip(map.elements, number < 0 ? null : tooltipLines(store, number), where),
  });
  const updateOwnSeats = () => map.setOwnSeats([...store.picks, ...store.heldNumbers]);
  store.on('statuses', ({ detail }) => map.seatsChanged(detail.changed));
  store.on('picks reservation', ({ detail }) => {
    updateOwnSeats();
    if (detail?.number >= 0 && store.picks.has(detail.number) && document.activeElement?.dataset.seat) map.reveal(detail.number);
  });
  store.on('reservation', () => store.heldNumbers.length > 0 && map.reveal(store.heldNumbers[0]));
  store.on('filter', () => map.setFilter(store.filter));
  store.on('stream', ({ detail }) => host.classList.toggle('is-lost', detail.state === 'lost'));
  return map;
}

function tooltipLines(store, number) {
  const { seats } = store;
  const seat = seats.list[number];
  const price = seats.priceOf(number);
  const isMine = store.picks.has(number) || store.heldNumbers.includes(number);
  const state = isMine ? 'mine' : STATUS_NAMES[seats.statuses[number]];
  return [
    t('seat.long', { section: seat.section, row: seat.row, seat: seats.seatName(number) }),
    joined([price && formatMoney(price), seat.category, t(`state.${state}`)]),
    seat.view_note ?? seat.note,
  ].filter(Boolean);
}

/** Shows the panel for the selection or for the hold; it is replaced only when the hold changes, or the sale opens. */
function keepPanelCurrent(host, store) {
  let shown = null;
  let shownState = '';
  const update = oncePerFrame(() => {
    const reservation = store.reservation?.id ?? null;
    const state = reservation ?? (store.isClosed ? 'closed' : 'choosing');
    if (state !== shownState) {
      shown = reservation ? holdPanel(store) : selectionPanel(store);
      shownState = state;
      host.replaceChildren(shown.node);
      host.dataset.phase = reservation ? 'held' : state;
      if (reservation) focusHeading(host);
    }
    shown.update();
  });
  store.on('statuses picks filter busy stream reservation sale', update);
  update();
}

/** Moves the focus to the new heading, since the button that had it was removed. */
function focusHeading(host) {
  host.scrollIntoView({ block: 'nearest' });
  const heading = host.querySelector('h2');
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function connectStream(store, node) {
  store.on('stream', ({ detail }) => {
    node.dataset.stream = detail.state;
    showConnectionState(detail.state);
  });
  store.on('statuses', () => (node.dataset.version = String(store.version)));
  if (store.event.status === 'draft') return showCurrentStatuses(store);
  return (earlyStream ?? new BufferedSeatStream(store.event.id)).connect(store);
}

/** EventSource sends no access token, which drafts require: their current statuses are loaded once. */
async function showCurrentStatuses(store) {
  store.applySnapshot(await get(`/events/${store.event.id}/availability`));
  store.setStreamState('live');
}
