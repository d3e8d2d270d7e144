// Estimates the server's time to well under a second, although the Date header has a resolution of one second.
// Each response bounds the clock offset by an interval; the intervals of several responses are intersected.

// Date is truncated to whole seconds, and many servers update it once per second: it may lag this much behind.
const MAX_DATE_LAG_MS = 2000;

let low = -Infinity;
let high = Infinity;

/** Narrows the offset by the Date header of a response to a request sent at `sentAt` (ms, local clock). */
export function syncWithResponse(response, sentAt, receivedAt = Date.now()) {
  const date = Date.parse(response.headers.get('Date') ?? '');
  // A cached response carries the Date of its original transmission.
  const isCacheable = /immutable|max-age=[1-9]/.test(response.headers.get('Cache-Control') ?? '');
  if (!Number.isFinite(date) || isCacheable || response.headers.has('Age')) return;
  const least = date - receivedAt;
  const most = date + MAX_DATE_LAG_MS - sentAt;
  if (least > high || most < low) {
    // The intervals do not overlap: one of the clocks was adjusted, so earlier bounds no longer hold.
    low = least;
    high = most;
  } else {
    low = Math.max(low, least);
    high = Math.min(high, most);
  }
}

/** Milliseconds since the epoch by the server's clock, as estimated; the local clock before the first response. */
export function serverNow() {
  const offset = Number.isFinite(low) && Number.isFinite(high) ? (low + high) / 2 : 0;
  return Date.now() + offset;
}
