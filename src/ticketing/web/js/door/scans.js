// The scans of this page, newest first. Each has its own result, so that a late answer to an earlier code cannot replace
// the result of a later one.

import { post } from '../api/client.js';
import { randomKey } from '../api/idempotency.js';
import { checkInResult } from './check-in-result.js';

const KEPT = 5;
// A queue at a door does not wait longer than twice this for an answer.
const TIMEOUT_MS = 6_000;
const MAX_ATTEMPTS = 2;
// After an attempt without an answer, a code that is scanned again within this time is still the same scan.
const SAME_SCAN_MS = 60_000;

/**
 * `check` returns the result, or null for a code whose first reading is not answered yet. `onChange(scans)` is called for
 * each new scan and each result; `result` is null until there is an answer.
 */
export function createScans(onChange) {
  let scans = [];
  const show = () => onChange(scans);

  async function check(path, code, gate, zone) {
    const known = scans.find((scan) => scan.path === path && scan.code === code && isUnanswered(scan));
    const scan = known ?? { path, code, gate, nonce: randomKey(), result: null };
    const isPending = known && !known.result;
    const others = scans.filter((other) => other !== scan);
    scans = [scan, ...others.filter(({ result }, index) => !result || index < KEPT)];
    // The scanner reads a code again that stays in view: the answer to the first reading is still to come.
    if (isPending) {
      show();
      return null;
    }
    Object.assign(scan, { result: null, at: Date.now() });
    show();
    scan.result = await send(scan, zone);
    show();
    return scan.result;
  }

  const clear = () => {
    scans = [];
    show();
  };
  return { check, clear };
}

const isUnanswered = (scan) => !scan.result || (scan.result.isUnanswered && Date.now() - scan.at < SAME_SCAN_MS);

/** The nonce identifies the scan: a retried request is the same scan, a second scan of the same ticket is not. */
async function send({ path, code, gate, nonce }, zone) {
  const body = { code, ...(gate && { gate }), nonce };
  try {
    return checkInResult(await post(path, body, { timeout: TIMEOUT_MS, attempts: MAX_ATTEMPTS }), null, zone);
  } catch (error) {
    return checkInResult(null, error, zone);
  }
}
