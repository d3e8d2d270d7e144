// Speaks to the HTTP API: envelope in, envelope out, tokens, idempotency keys, and retries that are safe.

import { syncWithResponse } from '../lib/server-clock.js';
import { forgetKey, keyFor } from './idempotency.js';
import { accessToken, endSession, renewToken, saveSession, session } from './session.js';

const BASE = '/api/v1';
const TRIES = 4;
const TIMEOUT_MS = 20_000;
const LONGEST_PAUSE_MS = 8_000;

export class ApiError extends Error {
  constructor(status, body, response) {
    const errors = body?.errors ?? [];
    super(body?.message ?? '');
    this.status = status;
    this.code = errors[0]?.code ?? (status === 0 ? 'offline' : 'unknown');
    this.errors = errors;
    this.seats = errors.flatMap((error) => error.seats ?? []).map((seat) => seat.label ?? seat);
    this.retryAfter = Number(response?.headers.get('Retry-After')) || 0;
    this.correlationId = body?.meta?.correlation_id;
  }

  /** True when nothing was decided and the same request may be sent again. */
  get isTransient() {
    return (
      this.status === 0 ||
      this.status === 503 ||
      this.status === 502 ||
      this.status === 504 ||
      this.code === 'idempotency_in_flight'
    );
  }
}

export const get = async (path, options) => (await call('GET', path, undefined, options)).data;
export const getPage = (path, options) => call('GET', path, undefined, options);
export const remove = async (path, body) => (await call('DELETE', path, body)).data;

/** POSTs once in effect: the key stays the same until the server has given an answer that is final. */
export async function post(path, body = {}) {
  const headers = { 'Idempotency-Key': keyFor(path, body) };
  try {
    const answer = await call('POST', path, body, { headers });
    forgetKey(path, body);
    return answer.data;
  } catch (error) {
    if (!(error instanceof ApiError && (error.isTransient || error.status === 429))) forgetKey(path, body);
    throw error;
  }
}

/** A file behind the log-in (QR, PDF, calendar), as a blob. */
export async function getBlob(path) {
  const response = await sendWithToken('GET', path, undefined, {});
  if (!response.ok) throw await toApiError(response);
  return response.blob();
}

async function call(method, path, body, options = {}) {
  const safe = method === 'GET' || Boolean(options.headers?.['Idempotency-Key']);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await sendWithToken(method, path, body, options);
      if (!response.ok) throw await toApiError(response);
      return response.status === 204 ? { data: null } : await response.json();
    } catch (error) {
      if (!(safe && error instanceof ApiError && error.isTransient && attempt < TRIES)) throw error;
      await pause(Math.min(error.retryAfter * 1000 || 300 * 2 ** attempt, LONGEST_PAUSE_MS));
    }
  }
}

async function sendWithToken(method, path, body, options) {
  const token = options.anonymous ? null : await accessToken(refreshTokens);
  const response = await send(method, path, body, options.headers, token);
  if (response.status !== 401 || !token) return response;
  const renewed = await renewToken(token, refreshTokens);
  return renewed ? send(method, path, body, options.headers, renewed) : response;
}

async function send(method, path, body, headers = {}, token = null) {
  const sentAt = Date.now();
  try {
    const response = await fetch(path.startsWith('/api/') ? path : BASE + path, {
      method,
      headers: {
        Accept: 'application/json, */*',
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    syncWithResponse(response, sentAt);
    return response;
  } catch {
    throw new ApiError(0, null);
  }
}

async function toApiError(response) {
  return new ApiError(response.status, await response.json().catch(() => null), response);
}

/** The new tokens, or null when the old ones are worth nothing any more. */
async function refreshTokens(refresh_token, key) {
  const headers = { 'Idempotency-Key': key };
  for (let attempt = 1; ; attempt += 1) {
    const response = await send('POST', '/auth/refresh', { refresh_token }, headers);
    if (response.ok) return (await response.json()).data;
    if (response.status === 401) return null;
    // 409: another tab's spending of the same token is on its way, and its answer is ours too.
    if (response.status !== 409 || attempt === TRIES) throw await toApiError(response);
    await pause(200 * attempt);
  }
}

/** POSTs as nobody, once: for whoever holds a link from a letter, whoever happens to be logged in here. */
export const postAnonymously = async (path, body) => (await call('POST', path, body, { anonymous: true })).data;

export async function logIn(kind, body) {
  const answer = await call('POST', `/auth/${kind}`, body, { anonymous: true });
  saveSession(answer.data);
  return answer.data.user;
}

export async function logOut() {
  const known = session();
  endSession();
  if (known) await send('POST', '/auth/logout', { refresh_token: known.refresh_token }, {}, known.access_token).catch(() => null);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms + Math.random() * 200));
