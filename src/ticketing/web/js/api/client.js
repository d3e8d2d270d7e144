// HTTP client of the API: unwraps the response envelope, adds access tokens and idempotency keys, and retries requests
// that are safe to repeat.

import { syncWithResponse } from '../lib/server-clock.js';
import { forgetKey, keyFor } from './idempotency.js';
import { accessToken, endSession, renewToken, saveSession, session } from './session.js';

const BASE = '/api/v1';
const MAX_ATTEMPTS = 4;
const TIMEOUT_MS = 20_000;
const MAX_DELAY_MS = 8_000;

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

  /** True for network errors, gateway errors and requests still in progress: the same request may be retried. */
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

/**
 * POSTs with an idempotency key, which is reused until the server has sent a final response. `options`: `timeout` of an
 * attempt in ms, and `attempts`.
 */
export async function post(path, body = {}, options = {}) {
  const headers = { 'Idempotency-Key': keyFor(path, body) };
  try {
    const { data } = await call('POST', path, body, { ...options, headers });
    forgetKey(path, body);
    return data;
  } catch (error) {
    if (!(error instanceof ApiError && (error.isTransient || error.status === 429))) forgetKey(path, body);
    throw error;
  }
}

/** Fetches a file that requires authentication (QR code, PDF, calendar). */
export async function getBlob(path) {
  const response = await sendWithToken('GET', path, undefined, {});
  if (!response.ok) throw await toApiError(response);
  return response.blob();
}

const repeated = new Set();
const repeats = new EventTarget();

/** Calls `listener(isWaiting)` when requests begin to be repeated because the server does not answer, and when none is. */
export const onRepeat = (listener) => repeats.addEventListener('change', () => listener(repeated.size > 0));

async function call(method, path, body, options) {
  const request = {};
  try {
    return await callRepeatedly(request, method, path, body, options);
  } finally {
    if (repeated.delete(request)) repeats.dispatchEvent(new Event('change'));
  }
}

async function callRepeatedly(request, method, path, body, options = {}) {
  const maxAttempts = options.attempts ?? MAX_ATTEMPTS;
  const isRepeatable = method === 'GET' || Boolean(options.headers?.['Idempotency-Key']);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await sendWithToken(method, path, body, options);
      if (!response.ok) throw await toApiError(response);
      return response.status === 204 ? { data: null } : await response.json();
    } catch (error) {
      if (!(isRepeatable && error instanceof ApiError && error.isTransient && attempt < maxAttempts)) throw error;
      repeated.add(request);
      repeats.dispatchEvent(new Event('change'));
      await delay(Math.min(error.retryAfter * 1000 || 300 * 2 ** attempt, MAX_DELAY_MS));
    }
  }
}

async function sendWithToken(method, path, body, options) {
  const token = options.anonymous ? null : await accessToken(refreshTokens);
  const response = await send(method, path, body, options, token);
  if (response.status !== 401 || !token) return response;
  const renewed = await renewToken(token, refreshTokens);
  return renewed ? send(method, path, body, options, renewed) : response;
}

async function send(method, path, body, { headers = {}, timeout = TIMEOUT_MS } = {}, token = null) {
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
      body: body === undefined || body instanceof Blob ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
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

/** Requests new tokens; null if the refresh token is no longer valid. */
async function refreshTokens(refresh_token, key) {
  const headers = { 'Idempotency-Key': key };
  for (let attempt = 1; ; attempt += 1) {
    const response = await send('POST', '/auth/refresh', { refresh_token }, { headers });
    if (response.ok) return (await response.json()).data;
    if (response.status === 401) return null;
    // 409: another tab is using the same token with the same idempotency key; a retry gets the same response.
    if (response.status !== 409 || attempt === MAX_ATTEMPTS) throw await toApiError(response);
    await delay(200 * attempt);
  }
}

/** POSTs once without an access token: a link from an email may belong to another account than the current session. */
export const postAnonymously = async (path, body) => (await call('POST', path, body, { anonymous: true })).data;

/** Logs in (`kind` is "login") or registers ("register"), and stores the session. */
export async function logIn(kind, body) {
  const { data } = await call('POST', `/auth/${kind}`, body, { anonymous: true });
  saveSession(data);
  return data.user;
}

export async function logOut() {
  const ended = session();
  endSession();
  if (ended) await send('POST', '/auth/logout', { refresh_token: ended.refresh_token }, {}, ended.access_token).catch(() => null);
}

const delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms + Math.random() * 200));
