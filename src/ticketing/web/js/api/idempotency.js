// One key per intent. The same action with the same body gets the same key until the server has given a final
// answer, so a retry after a lost connection (even after a reload) can never buy twice.

import { tabStorage } from '../lib/storage.js';

const SLOT = 'ticketing.intents';
const LIMIT = 40;

const intents = () => tabStorage.get(SLOT) ?? {};

export function keyFor(path, body) {
  const print = fingerprint(path, body);
  const known = intents();
  if (!known[print]) {
    known[print] = crypto.randomUUID?.() ?? randomKey();
    tabStorage.set(SLOT, Object.fromEntries(Object.entries(known).slice(-LIMIT)));
  }
  return known[print];
}

export function forgetKey(path, body) {
  const known = intents();
  delete known[fingerprint(path, body)];
  tabStorage.set(SLOT, known);
}

/** Short, because a seating plan of fifteen megabytes would not fit into the storage; FNV-1a, twice 32 bits. */
export function fingerprint(path, body) {
  const text = `${path} ${JSON.stringify(body)}`;
  let [a, b] = [0x811c9dc5, 0x01000193];
  for (let index = 0; index < text.length; index += 1) {
    a = Math.imul(a ^ text.charCodeAt(index), 0x01000193);
    b = Math.imul(b ^ text.charCodeAt(index), 0x85ebca6b);
  }
  return `${(a >>> 0).toString(36)}.${(b >>> 0).toString(36)}.${text.length}`;
}

/** `crypto.randomUUID` exists only in secure contexts; a phone on the local network has none. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
