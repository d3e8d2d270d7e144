// Knows the server's time to well under a second, although the Date header only carries whole seconds.
// Each answer proves that the offset lies in an interval; the intervals of several answers are intersected.

// Cut to whole seconds, and written once a second by many servers: a Date may be this far behind.
const DATE_MS = 2000;

let low = -Infinity;
let high = Infinity;

export function syncWithResponse(response, sentAt, receivedAt = Date.now()) {
  const date = Date.parse(response.headers.get('Date') ?? '');
  // An answer that a cache may have kept carries the Date of long ago.
  const keepable = /immutable|max-age=[1-9]/.test(response.headers.get('Cache-Control') ?? '');
  if (!Number.isFinite(date) || keepable || response.headers.has('Age')) return;
  const least = date - receivedAt;
  const most = date + DATE_MS - sentAt;
  if (least > high || most < low) {
    // The local clock was moved, or the server's: what was learned before is worth nothing now.
    low = least;
    high = most;
  } else {
    low = Math.max(low, least);
    high = Math.min(high, most);
  }
}

/** Milliseconds since the epoch by the server's clock, as well as we know it. */
export function serverNow() {
  const offset = Number.isFinite(low) && Number.isFinite(high) ? (low + high) / 2 : 0;
  return Date.now() + offset;
}
