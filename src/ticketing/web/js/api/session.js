// The session of the current user. An access token is valid for 15 minutes. A refresh token can be used once, so only
// one tab may refresh at a time: reuse of a refresh token revokes the whole token family.
// A lock alone is not enough. Browsers propagate localStorage writes between processes with a delay, so a tab that holds
// the lock may read an old token; and a page that is closed during a refresh never receives the response.
// Each refresh therefore has an idempotency key, derived from the refresh token and the random `chain` of the log-in:
// a second use of an old token with the same key returns the same new pair.

import { persistentStorage } from '../lib/storage.js';
import { fingerprint, randomKey } from './idempotency.js';

const SLOT = 'ticketing.session';
const REFRESH_MARGIN_MS = 20_000;
const changes = new EventTarget();

export const session = () => persistentStorage.get(SLOT);
export const currentUser = () => session()?.user ?? null;
export const onSessionChange = (listener) => changes.addEventListener('change', listener);

/** Stores a session; a refreshed session keeps its `chain`. */
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

const isFresh = (tokens) => tokens && tokens.expires_at - REFRESH_MARGIN_MS > Date.now();

/** The access token, refreshed first if it is about to expire; null without a session. */
export async function accessToken(refresh) {
  const current = session();
  if (!current) return null;
  return isFresh(current) ? current.access_token : renewToken(current.access_token, refresh);
}

/** Returns an access token other than `rejected`: a newer one of another tab, or one from `refresh(refresh_token, key)`. */
export function renewToken(rejected, refresh) {
  return withRefreshLock(async () => {
    const current = session();
    if (!current) return null;
    if (current.access_token !== rejected && isFresh(current)) return current.access_token;
    const body = await refresh(current.refresh_token, `refresh-${current.chain}-${fingerprint('', current.refresh_token)}`);
    if (body) saveSession(body, current.chain);
    else if (session()?.refresh_token === current.refresh_token) endSession();
    return session()?.access_token ?? null;
  });
}

let queue = Promise.resolve();

/** Runs `work` under a lock across tabs, or across this page where the Web Locks API is missing. */
function withRefreshLock(work) {
  if (navigator.locks) return navigator.locks.request('ticketing-refresh', work);
  const turn = queue.then(work, work);
  queue = turn.catch(() => null);
  return turn;
}
