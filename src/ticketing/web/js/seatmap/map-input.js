// Pointer, wheel and keyboard input of the map. One pointer pans or taps, two pinch. A tap on a seat that is drawn too
// small to be hit reliably zooms in instead of picking it.

const TAP_MOVE_PX = 8;
const DOUBLE_TAP_MS = 320;
const FINGER_REACH_PX = 16;
const SMALLEST_FINGER_SEAT_PX = 13;
const SMALLEST_MOUSE_SEAT_PX = 7;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function attachMapInput(stage, map) {
  const input = new MapInput(stage, map);
  const listen = (name, handler, options) => stage.addEventListener(name, handler.bind(input), options);
  listen('pointerdown', input.down);
  listen('pointermove', input.move);
  listen('pointerup', input.up);
  listen('pointercancel', input.cancel);
  listen('pointerleave', () => map.highlight('hover', -1));
  listen('wheel', input.wheel, { passive: false });
  listen('keydown', input.key);
  listen('blur', () => map.highlight('focus', -1));
  listen('dragstart', (event) => event.preventDefault());
}

class MapInput {
  constructor(stage, map) {
    this.stage = stage;
    this.map = map;
    this.pointers = new Map();
    this.distance = 0;
    this.lastTap = { at: 0, x: 0, y: 0 };
  }

  #positionOf(event) {
    // Measured once per gesture: a layout query on every move would cost more than drawing.
    if (!this.box || this.pointers.size === 0) this.box = this.stage.getBoundingClientRect();
    return { x: event.clientX - this.box.left, y: event.clientY - this.box.top };
  }

  down(event) {
    if (event.button > 0) return;
    this.pointers.set(event.pointerId, this.#positionOf(event));
    this.stage.setPointerCapture(event.pointerId);
    if (this.pointers.size === 1) this.distance = 0;
    else this.distance = Infinity;
  }

  move(event) {
    const at = this.#positionOf(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.#hover(event, at);
    if (this.pointers.size === 1) this.#pan(before, at);
    else if (this.pointers.size === 2) this.#pinch(event.pointerId, before, at);
    this.pointers.set(event.pointerId, at);
    return undefined;
  }

  #hover(event, at) {
    if (event.pointerType === 'touch') return;
    const number = this.map.seatAt(at.x, at.y, 4);
    this.stage.classList.toggle('on-seat', number >= 0 && (this.map.seats.canPick(number) || this.map.mine.has(number)));
    this.map.highlight('hover', number);
  }

  #pan(before, at) {
    this.distance += Math.hypot(at.x - before.x, at.y - before.y);
    if (this.distance < TAP_MOVE_PX) return;
    if (this.map.hover >= 0) this.map.highlight('hover', -1);
    this.map.viewport.panBy(at.x - before.x, at.y - before.y);
  }

  #pinch(id, before, at) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, place]) => place);
    const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
    const factor = Math.hypot(at.x - other.x, at.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
    this.map.viewport.zoomAt(middle.x, middle.y, factor);
    this.map.viewport.panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
  }

  up(event) {
    const at = this.#positionOf(event);
    const isTap = this.pointers.has(event.pointerId) && this.pointers.size === 1 && this.distance < TAP_MOVE_PX;
    this.pointers.delete(event.pointerId);
    if (isTap) this.#tap(at, event.pointerType === 'touch');
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
  }

  #tap(at, isFinger) {
    const { map } = this;
    const number = map.seatAt(at.x, at.y, isFinger ? FINGER_REACH_PX : 5);
    const isLargeEnough = map.seatPx >= (isFinger ? SMALLEST_FINGER_SEAT_PX : SMALLEST_MOUSE_SEAT_PX);
    if (number >= 0 && isLargeEnough) {
      map.highlight('hover', number);
      map.on.toggle(number);
    } else if (number >= 0) {
      map.viewport.animateZoom(at.x, at.y, 18 / map.seatPx);
    } else if (!map.showsSeats && map.sectionAt(at.x, at.y)) {
      map.viewport.animateToBox(map.sectionAt(at.x, at.y));
    } else if (this.#isDoubleTap(at)) {
      map.viewport.animateZoom(at.x, at.y, 2);
    }
    this.lastTap = { at: performance.now(), ...at };
  }

  #isDoubleTap(at) {
    return performance.now() - this.lastTap.at < DOUBLE_TAP_MS && Math.hypot(at.x - this.lastTap.x, at.y - this.lastTap.y) < 24;
  }

  wheel(event) {
    event.preventDefault();
    const at = this.#positionOf(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    const strength = event.ctrlKey ? 0.01 : 0.0022;
    this.map.viewport.zoomAt(at.x, at.y, Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * strength));
  }

  key(event) {
    const { map } = this;
    const middle = [map.viewport.width / 2, map.viewport.height / 2];
    if (ARROWS[event.key]) this.#step(...ARROWS[event.key]);
    else if ((event.key === 'Enter' || event.key === ' ') && map.focus >= 0) map.on.toggle(map.focus);
    else if (event.key === '+' || event.key === '=') map.viewport.animateZoom(...middle, 1.6);
    else if (event.key === '-') map.viewport.animateZoom(...middle, 1 / 1.6);
    else if (event.key === '0') map.viewport.animateToFit();
    else if (event.key === 'Escape') map.highlight('focus', -1);
    else return;
    event.preventDefault();
  }

  #step(dx, dy) {
    const { map } = this;
    const middle = map.viewport.toPlan(map.viewport.width / 2, map.viewport.height / 2);
    const next =
      map.focus >= 0 ? map.index.nextInDirection(map.focus, dx, dy) : map.index.nearest(middle.x, middle.y, map.seats.pitch * 60);
    if (next < 0) return;
    map.reveal(next);
    map.highlight('focus', next);
  }
}
