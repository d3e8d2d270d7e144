// Words for the moments that hurt: a seat that went to someone else, a hold that ran out, a wish refused.
// Each says what happened, what did not, and offers the next step as a button.

import { get } from '../api/client.js';
import { sorry } from '../ui/error-messages.js';
import { notice } from '../ui/notice.js';
import { t } from '../words/translate.js';

export function tellLosses(desk) {
  desk.on('lost', ({ detail }) => tellLost(desk, detail.lost, false));
  desk.on('refused', ({ detail }) => notice(detail.text, { kind: 'warn' }));
  desk.on('failed', ({ detail }) => tellFailed(desk, detail.error));
  desk.on('expired', ({ detail }) => tellExpired(desk, detail.numbers));
}

async function tellFailed(desk, error) {
  if (error.code === 'seat_unavailable' && desk.seats) return tellTaken(desk, error);
  if (error.code === 'reservation_expired') return desk.expire();
  return notice(sorry(error), { kind: 'bad' });
}

/** The server said no: our picture of the seats was old, so it is fetched before neighbours are offered. */
async function tellTaken(desk, error) {
  const fresh = await get(`/events/${desk.event.id}/availability`).catch(() => null);
  let lost = error.seats.map((label) => desk.seats.byLabel.get(label)).filter((number) => number !== undefined);
  if (fresh && fresh.version >= desk.seats.version) {
    desk.seats.takeSnapshot(fresh.seats, fresh.version);
    desk.tell('states', { changed: desk.seats.list.map((_, number) => number) });
  }
  if (lost.length === 0) lost = [...desk.picks].filter((number) => !desk.seats.canPick(number));
  for (const number of lost) desk.picks.delete(number);
  desk.tell('picks');
  return lost.length > 0 ? tellLost(desk, lost, true) : notice(sorry(error), { kind: 'bad' });
}

function tellLost(desk, lost, goOn) {
  const near = desk.seats.neighbours(lost[0], lost.length, desk.picks);
  const values = { seats: listed(desk, lost), count: lost.length, near: listed(desk, near), nearCount: near.length };
  const take = () => {
    desk.pickInstead(near);
    if (goOn) desk.hold();
  };
  const actions = near.length > 0 ? [{ label: t('lost.take', values), run: take, testid: 'take-neighbours' }] : [];
  notice(near.length > 0 ? t('lost.near', values) : t('lost.nothing_near'), {
    kind: 'warn',
    title: t('lost.title', values),
    actions,
    stays: true,
  });
}

function tellExpired(desk, numbers) {
  const free = () => numbers.filter((number) => desk.seats?.canPick(number));
  const actions =
    numbers.length > 0 ? [{ label: t('expired.again'), run: () => desk.pickInstead(free()), testid: 'try-again' }] : [];
  notice(t('expired.text'), { kind: 'warn', title: t('expired.title'), actions, stays: true });
}

const format = new Intl.ListFormat(document.documentElement.lang || 'en', { type: 'conjunction' });
const listed = (desk, numbers) => format.format(numbers.map((number) => desk.nameOf(number)));
