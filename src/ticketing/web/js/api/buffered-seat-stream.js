// The stream of an event from the first moment on: what arrives before the desk is there waits for it.

import { SeatStream } from './seat-stream.js';

export class LiveFeed {
  #desk = null;
  #waiting = [];

  constructor(eventId) {
    new SeatStream(eventId, {
      snapshot: (frame) => this.#pass('takeSnapshot', frame),
      changes: (frame) => this.#pass('takeChanges', frame),
      state: (state) => this.#pass('streamIs', state),
    });
  }

  #pass(act, value) {
    if (this.#desk) this.#desk[act](value);
    else this.#waiting.push([act, value]);
  }

  join(desk) {
    this.#desk = desk;
    for (const [act, value] of this.#waiting.splice(0)) desk[act](value);
  }
}
