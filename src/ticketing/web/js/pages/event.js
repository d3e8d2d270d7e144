// /e/{id}: the map beside the panel, the list below, and one desk that all three listen to.

import { LiveFeed } from '../api/buffered-seat-stream.js';
import { get } from '../api/client.js';
import { onSessionChange } from '../api/session.js';
import { heldPanel } from '../buying/hold-panel.js';
import { tellLosses } from '../buying/purchase-notices.js';
import { Desk } from '../buying/purchase-store.js';
import { choosePanel } from '../buying/selection-panel.js';
import { el, fill, oncePerFrame } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { serverNow } from '../lib/server-clock.js';
import { showTip, stateKey } from '../seatmap/map-elements.js';
import { SeatList } from '../seatmap/seat-list.js';
import { SeatMap } from '../seatmap/seat-map.js';
import { STATE_NAMES, Seats } from '../seatmap/seats.js';
import { connectionBar } from '../ui/connection-bar.js';
import { closedReason, eventHead } from '../ui/event-header.js';
import { showLost } from '../ui/not-found.js';
import { t } from '../words/translate.js';

export async function open(main, eventId) {
  const path = `/events/${encodeURIComponent(eventId)}`;
  // The server has written facts of public events only, with the plan's version: then nothing need wait for the event.
  const planWritten = main.querySelector('[data-plan]')?.dataset.plan;
  const early = planWritten ? fetchPlan(path, planWritten) : null;
  const feed = planWritten === undefined ? null : new LiveFeed(eventId);
  const event = await findEvent(path);
  if (!event) return showLost(main);
  event.ticket_types ??= [];
  const isSamePlan = String(event.plan_version) === planWritten;
  const seatmap = event.has_seats ? await (isSamePlan ? early : fetchPlan(path, event.plan_version)) : null;
  const desk = new Desk(event, seatmap?.seats?.length > 0 ? new Seats(seatmap, event.ticket_types) : null);
  document.title = `${event.title} · ${t('brand')}`;
  const closed = closedReason(event, serverNow());
  const live = drawPage(main, desk, closed);
  tellLosses(desk);
  listenLive(desk, live, feed);
  onSessionChange(() => desk.resume());
  return desk.resume();
}

/** Browsers keep a plan for a year; its version in the address is what makes that safe. */
const fetchPlan = (path, version) => get(`${path}/seatmap?plan=${version ?? 0}`);

/** Drafts are known to their organization only: the server may have said 404 where this person may look. */
async function findEvent(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error.status === 404 || error.status === 422) return null;
    throw error;
  }
}

function drawPage(main, desk, closed) {
  const panel = el('aside', { class: 'panel', 'aria-label': t('panel.title'), dataset: { testid: 'panel' } });
  const mapHost = desk.seats && el('div', { class: 'map' });
  const listHost =
    desk.seats &&
    el(
      'section',
      { class: 'list-part', id: 'list' },
      el('h2', {}, t('list.title')),
      el('p', { class: 'muted' }, t('list.explain')),
    );
  const page = el(
    'article',
    { class: desk.seats ? 'event' : 'event no-map', dataset: { testid: 'event' } },
    eventHead(desk.event),
    closed && el('p', { class: 'closed', role: 'status', dataset: { testid: 'closed' } }, closed),
    desk.seats && el('a', { class: 'skip', href: '#list' }, t('list.skip')),
    desk.seats && el('div', { class: 'map-part' }, mapHost, stateKey()),
    panel,
    listHost,
  );
  fill(main, page);
  const map = desk.seats && drawMap(mapHost, desk);
  if (desk.seats) addList(listHost, panel, desk);
  keepPanel(panel, desk);
  return map?.canvas ?? page;
}

/** Below the list a way back up, so that a keyboard need not pass every price again. */
function addList(host, panel, desk) {
  new SeatList(host, desk);
  const back = el(
    'button',
    {
      type: 'button',
      class: 'link',
      dataset: { testid: 'list-to-panel' },
      onclick: () => (panel.querySelector('[data-testid=hold-button]:enabled') ?? panel.querySelector('button, input'))?.focus(),
    },
    t('list.to_panel'),
  );
  host.append(back);
}

function drawMap(host, desk) {
  const { left, top, right, bottom } = desk.seats.bounds;
  host.style.setProperty('--plan-ratio', String((bottom - top) / Math.max(1, right - left)));
  const map = new SeatMap(host, desk.seats, {
    toggle: (number) => desk.toggle(number),
    say: (number, where) => showTip(map.frame, number < 0 ? null : wordsOf(desk, number), where),
  });
  const mine = () => map.setMine([...desk.picks, ...desk.heldNumbers]);
  desk.on('states', ({ detail }) => map.seatsChanged(detail.changed));
  desk.on('picks reservation', ({ detail }) => {
    mine();
    if (detail?.number >= 0 && desk.picks.has(detail.number) && document.activeElement?.dataset.seat) map.reveal(detail.number);
  });
  desk.on('reservation', () => desk.heldNumbers.length > 0 && map.reveal(desk.heldNumbers[0]));
  desk.on('filter', () => map.setFilter(desk.filter));
  desk.on('stream', ({ detail }) => host.classList.toggle('is-lost', detail.state === 'lost'));
  return map;
}

function wordsOf(desk, number) {
  const { seats } = desk;
  const seat = seats.list[number];
  const price = seats.priceOf(number);
  const isMine = desk.picks.has(number) || desk.heldNumbers.includes(number);
  const state = isMine ? 'mine' : STATE_NAMES[seats.states[number]];
  return [
    t('seat.long', { section: seat.section, row: seat.row, seat: seats.seatName(number) }),
    [price && formatMoney(price), seat.category, t(`state.${state}`)].filter(Boolean).join(' · '),
    seat.view_note ?? seat.note,
  ].filter(Boolean);
}

/** Shows choosing or holding, whichever is true, and swaps the two only when that changes. */
function keepPanel(host, desk) {
  let shown = null;
  let shownFor;
  const update = oncePerFrame(() => {
    const wanted = desk.reservation?.id ?? null;
    if (!shown || wanted !== shownFor) {
      shown = wanted ? heldPanel(desk) : choosePanel(desk);
      shownFor = wanted;
      host.replaceChildren(shown.node);
      host.dataset.phase = wanted ? 'held' : 'choosing';
      if (wanted) showHeld(host);
    }
    shown.update();
  });
  desk.on('states picks filter busy stream reservation', update);
  update();
}

/** The button that was pressed is gone: the keyboard and the screen reader go on at the new heading. */
function showHeld(host) {
  host.scrollIntoView({ block: 'nearest' });
  const heading = host.querySelector('h2');
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function listenLive(desk, node, feed) {
  desk.on('stream', ({ detail }) => {
    node.dataset.stream = detail.state;
    connectionBar(detail.state);
  });
  desk.on('states', () => (node.dataset.version = String(desk.version)));
  if (desk.event.status === 'draft') return showOnce(desk);
  return (feed ?? new LiveFeed(desk.event.id)).join(desk);
}

/** A stream carries no log-in, so a draft, which needs one, is shown as it is at this moment. */
async function showOnce(desk) {
  desk.takeSnapshot(await get(`/events/${desk.event.id}/availability`));
  desk.streamIs('live');
}
