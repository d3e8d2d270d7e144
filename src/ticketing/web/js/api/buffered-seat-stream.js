// A seat stream that is opened before the page has loaded its data: frames are buffered until a store is connected.

import { SeatStream } from './seat-stream.js';

export class BufferedSeatStream {
  #store = null;
  #buffer = [];

  constructor(eventId) {
    new SeatStream(eventId, {
      snapshot: (frame) => this.#forward('applySnapshot', frame),
      changes: (frame) => this.#forward('applyChanges', frame),
      state: (state) => this.#forward('setStreamState', state),
    });
  }

  #forward(method, value) {
    if (this.#store) this.#store[method](value);
    else this.#buffer.push([method, value]);
  }

  connect(store) {
    this.#store = store;
    for (const [method, value] of this.#buffer.splice(0)) store[method](value);
  }
}
