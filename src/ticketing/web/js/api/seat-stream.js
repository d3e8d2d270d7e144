// Server-sent events with the statuses of an event's seats. A frame carries absolute statuses and a version, so repeated
// frames are harmless; after a gap, the server starts again with a snapshot.

// The server sends a heartbeat every 15 s; after this much silence the connection is considered dead.
const SILENCE_MS = 40_000;
// A planned reconnect completes within this time; a shorter interruption is not reported.
const GRACE_MS = 3_500;
const FIRST_DELAY_MS = 800;
const MAX_DELAY_MS = 15_000;

/** Calls `on.snapshot(frame)`, `on.changes(frame)` and `on.state('connecting' | 'live' | 'lost')`. */
export class SeatStream {
  #url;
  #on;
  #source = null;
  #version = -1;
  #failures = 0;
  #watchdog = 0;
  #reconnect = 0;
  #grace = 0;
  #state = '';

  constructor(eventId, on) {
    this.#url = `/api/v1/events/${encodeURIComponent(eventId)}/stream`;
    this.#on = on;
    addEventListener('online', () => this.#open());
    addEventListener('offline', () => this.#setState('lost'));
    // A phone in standby may keep a dead socket for minutes: reconnect when the page becomes visible again.
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#state !== 'live') this.#open();
    });
    addEventListener('pagehide', () => this.close());
    addEventListener('pageshow', (event) => event.persisted && this.#open());
    this.#setState('connecting');
    this.#open();
  }

  close() {
    for (const timer of [this.#watchdog, this.#reconnect, this.#grace]) clearTimeout(timer);
    this.#grace = 0;
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    clearTimeout(this.#reconnect);
    this.#source?.close();
    const source = new EventSource(this.#url);
    this.#source = source;
    this.#resetWatchdog();
    source.addEventListener('snapshot', (event) => this.#receive(event, (frame) => this.#receiveSnapshot(frame)));
    source.addEventListener('seats.updated', (event) => this.#receive(event, (frame) => this.#receiveChanges(frame)));
    source.addEventListener('heartbeat', (event) => this.#receive(event, () => {}));
    source.addEventListener('error', () => this.#handleError(source));
  }

  #receive(event, apply) {
    this.#resetWatchdog();
    this.#failures = 0;
    apply(event.data ? JSON.parse(event.data) : {});
    if (this.#version < 0) return;
    clearTimeout(this.#grace);
    this.#grace = 0;
    this.#setState('live');
  }

  #receiveSnapshot(frame) {
    this.#version = frame.version;
    this.#on.snapshot(frame);
  }

  #receiveChanges(frame) {
    if (frame.version <= this.#version) return;
    this.#version = frame.version;
    this.#on.changes(frame);
  }

  #resetWatchdog() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#setState('lost');
      this.#open();
    }, SILENCE_MS);
  }

  /** EventSource reconnects and resumes on its own, except after an HTTP error status: then a new one is opened. */
  #handleError(source) {
    if (source !== this.#source) return;
    if (!this.#grace) this.#grace = setTimeout(() => this.#setState('lost'), GRACE_MS);
    if (source.readyState !== EventSource.CLOSED) return;
    const delay = Math.min(FIRST_DELAY_MS * 2 ** this.#failures, MAX_DELAY_MS);
    this.#failures += 1;
    // Jitter spreads the reconnects of many clients after a server restart.
    this.#reconnect = setTimeout(() => this.#open(), delay * (0.6 + Math.random() * 0.8));
  }

  #setState(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#on.state(state);
  }
}
