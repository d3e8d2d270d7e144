// The live states of an event's seats. Absolute states with a version: a frame may be dropped or seen twice
// without harm, and after any gap the server begins again with a snapshot.

const QUIET_MS = 40_000;
// A stream that ends as planned is back within this time, and nobody needs to hear of it.
const GRACE_MS = 3_500;
const FIRST_PAUSE_MS = 800;
const LONGEST_PAUSE_MS = 15_000;

/** Calls `on.snapshot(frame)`, `on.changes(frame)` and `on.state('connecting' | 'live' | 'lost')`. */
export class SeatStream {
  #url;
  #on;
  #source = null;
  #version = -1;
  #failures = 0;
  #watchdog = 0;
  #again = 0;
  #grace = 0;
  #state = '';

  constructor(eventId, on) {
    this.#url = `/api/v1/events/${encodeURIComponent(eventId)}/stream`;
    this.#on = on;
    addEventListener('online', () => this.#open());
    addEventListener('offline', () => this.#tell('lost'));
    // A phone that sleeps keeps a dead socket for minutes; looking at the page again is the moment to find out.
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && this.#state !== 'live') this.#open();
    });
    addEventListener('pagehide', () => this.close());
    addEventListener('pageshow', (event) => event.persisted && this.#open());
    this.#tell('connecting');
    this.#open();
  }

  close() {
    for (const timer of [this.#watchdog, this.#again, this.#grace]) clearTimeout(timer);
    this.#grace = 0;
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    clearTimeout(this.#again);
    this.#source?.close();
    const source = new EventSource(this.#url);
    this.#source = source;
    this.#watch();
    source.addEventListener('snapshot', (event) => this.#take(event, (frame) => this.#snapshot(frame)));
    source.addEventListener('seats.updated', (event) => this.#take(event, (frame) => this.#changes(frame)));
    source.addEventListener('heartbeat', (event) => this.#take(event, () => {}));
    source.addEventListener('error', () => this.#break(source));
  }

  #take(event, apply) {
    this.#watch();
    this.#failures = 0;
    apply(event.data ? JSON.parse(event.data) : {});
    if (this.#version < 0) return;
    clearTimeout(this.#grace);
    this.#grace = 0;
    this.#tell('live');
  }

  #snapshot(frame) {
    this.#version = frame.version;
    this.#on.snapshot(frame);
  }

  #changes(frame) {
    if (frame.version <= this.#version) return;
    this.#version = frame.version;
    this.#on.changes(frame);
  }

  /** Heartbeats come every fifteen seconds; after much more silence than that the connection is dead. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#tell('lost');
      this.#open();
    }, QUIET_MS);
  }

  /** The browser reconnects by itself and resumes where it was, except after an error status: then we begin anew. */
  #break(source) {
    if (source !== this.#source) return;
    if (!this.#grace) this.#grace = setTimeout(() => this.#tell('lost'), GRACE_MS);
    if (source.readyState !== EventSource.CLOSED) return;
    const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures += 1;
    // Jitter keeps a thousand maps from coming back in the same instant after a restart.
    this.#again = setTimeout(() => this.#open(), pause * (0.6 + Math.random() * 0.8));
  }

  #tell(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#on.state(state);
  }
}
