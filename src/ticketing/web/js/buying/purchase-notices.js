// Notices about a purchase: a seat lost to another buyer, an expired hold, a refused action.
// Each says what happened, what did not happen, and offers the next step as a button.

import { get } from '../api/client.js';
import { errorMessage } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { listed, t } from '../words/translate.js';

export function showPurchaseNotices(store) {
  store.on('picksLost', ({ detail }) => showPicksLost(store, detail.lost, false));
  store.on('refused', ({ detail }) => showNotice(detail.text, { kind: 'warn' }));
  store.on('failed', ({ detail }) => showFailed(store, detail.error));
  store.on('expired', ({ detail }) => showEnded(store, detail.numbers, 'expired'));
  store.on('ended', ({ detail }) => showEnded(store, detail.numbers, detail.status === 'confirmed' ? 'bought' : 'let_go'));
}

async function showFailed(store, error) {
  if (error.code === 'seat_unavailable' && store.seats) return showSeatsTaken(store, error);
  if (error.code === 'reservation_expired') return store.expire();
  return showNotice(errorMessage(error), { kind: 'bad' });
}

/** The server refused the hold, so the shown statuses are outdated: reload them before suggesting adjacent seats. */
async function showSeatsTaken(store, error) {
  const availability = await get(`/events/${store.event.id}/availability`).catch(() => null);
  let lost = error.seats.map((label) => store.seats.byLabel.get(label)).filter((number) => number !== undefined);
  if (availability && availability.version >= store.seats.version) {
    store.seats.applySnapshot(availability.seats, availability.version);
    store.emit('statuses', { changed: store.seats.list.map((_, number) => number) });
  }
  if (lost.length === 0) lost = [...store.picks].filter((number) => !store.seats.canPick(number));
  for (const number of lost) store.picks.delete(number);
  store.emit('picks');
  return lost.length > 0 ? showPicksLost(store, lost, true) : showNotice(errorMessage(error), { kind: 'bad' });
}

function showPicksLost(store, lost, holdAgain) {
  const near = store.seats.adjacentFree(lost[0], lost.length, store.picks);
  const values = { seats: listNames(store, lost), count: lost.length, near: listNames(store, near), nearCount: near.length };
  const take = () => {
    store.pickSeats(near);
    if (holdAgain) store.hold();
  };
  const actions = near.length > 0 ? [{ label: t('lost.take', values), run: take, testid: 'take-neighbours' }] : [];
  showNotice(near.length > 0 ? t('lost.near', values) : t('lost.nothing_near'), {
    kind: 'warn',
    title: t('lost.title', values),
    actions,
    stays: true,
  });
}

/** `reason` is expired, let_go or bought: by the time, or in another tab or on another device. */
function showEnded(store, numbers, reason) {
  const free = () => numbers.filter((number) => store.seats?.canPick(number));
  const again = { label: t('expired.again'), run: () => store.pickSeats(free()), testid: 'try-again' };
  const tickets = { label: t('nav.mine'), run: () => location.assign('/me'), testid: 'see-tickets' };
  const actions = reason === 'bought' ? [tickets] : numbers.length > 0 ? [again] : [];
  showNotice(t(`${reason}.text`), { kind: 'warn', title: t(`${reason}.title`), actions, stays: true });
}

const listNames = (store, numbers) => listed(numbers.map((number) => store.nameOf(number)));
