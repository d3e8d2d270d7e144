// Who is logged in. The access token lives fifteen minutes; the refresh token is spent on each use, so only one
// tab may refresh at a time: a second spend of the same token would end the whole family of them.
// A lock alone is not enough. A tab may hold the lock and still read yesterday's storage, because browsers carry
// writes from one process to another at their leisure; and a page that is left in mid-refresh never sees its answer.
// So each spending has an idempotency key of its own, made from the token and the log-in's secret `chain`: whoever
// spends an old token again gets the same new pair.

import { persistentStorage } from '../lib/storage.js';
import { fingerprint, randomKey } from './idempotency.js';

const SLOT = 'ticketing.session';
const EARLY_MS = 20_000;
const changes = new EventTarget();

export const session = () => persistentStorage.get(SLOT);
export const currentUser = () => session()?.user ?? null;
export const onSessionChange = (listener) => changes.addEventListener('change', listener);

/** Keeps a log-in; a refreshed one goes on with its `chain`. */
export function saveSession(body, chain = randomKey()) {
  const { user, access_token, refresh_token, expires_in } = body;
  persistentStorage.set(SLOT, {
    user: user ?? currentUser(),
    access_token,
    refresh_token,
    chain,
    expires_at: Date.now() + (expires_in ?? 900) * 1000,
  });
  changes.dispatchEvent(new Event('change'));
}

export function endSession() {
  persistentStorage.remove(SLOT);
  changes.dispatchEvent(new Event('change'));
}

addEventListener('storage', (event) => {
  if (event.key === SLOT) changes.dispatchEvent(new Event('change'));
});

const isFresh = (known) => known && known.expires_at - EARLY_MS > Date.now();

/** The access token to send, refreshed when it is about to end; null when nobody is logged in. */
export async function accessToken(refresh) {
  const known = session();
  if (!known) return null;
  return isFresh(known) ? known.access_token : renewToken(known.access_token, refresh);
}

/** Gives a token other than `spent`: another tab's newer one, or one from `refresh(refresh_token, key)`. */
export function renewToken(spent, refresh) {
  return alone(async () => {
    const known = session();
    if (!known) return null;
    if (known.access_token !== spent && isFresh(known)) return known.access_token;
    const body = await refresh(known.refresh_token, `refresh-${known.chain}-${fingerprint('', known.refresh_token)}`);
    if (body) saveSession(body, known.chain);
    else if (session()?.refresh_token === known.refresh_token) endSession();
    return session()?.access_token ?? null;
  });
}

let queue = Promise.resolve();

function alone(work) {
  if (navigator.locks) return navigator.locks.request('ticketing-refresh', work);
  const turn = queue.then(work, work);
  queue = turn.catch(() => null);
  return turn;
}
