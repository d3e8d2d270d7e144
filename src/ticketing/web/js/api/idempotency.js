// Idempotency keys. The same path and body get the same key until the server has sent a final response, so that a retry
// after a lost connection, even after a reload, never buys twice.

import { tabStorage } from '../lib/storage.js';

const SLOT = 'ticketing.intents';
const MAX_KEYS = 40;

const storedKeys = () => tabStorage.get(SLOT) ?? {};

export function keyFor(path, body) {
  const print = fingerprint(path, body);
  const keys = storedKeys();
  if (!keys[print]) {
    keys[print] = crypto.randomUUID?.() ?? randomKey();
    tabStorage.set(SLOT, Object.fromEntries(Object.entries(keys).slice(-MAX_KEYS)));
  }
  return keys[print];
}

export function forgetKey(path, body) {
  const keys = storedKeys();
  delete keys[fingerprint(path, body)];
  tabStorage.set(SLOT, keys);
}

/** Two 32-bit FNV-1a hashes and the length: a body may be a seating plan of 15 MB, too large for browser storage. */
export function fingerprint(path, body) {
  const text = `${path} ${JSON.stringify(body instanceof Blob ? [body.name, body.size, body.lastModified] : body)}`;
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let index = 0; index < text.length; index += 1) {
    a = Math.imul(a ^ text.charCodeAt(index), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return `${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}.${text.length}`;
}

/** 128 random bits in hex. `crypto.randomUUID` is missing in insecure contexts, such as plain HTTP on a local network. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
