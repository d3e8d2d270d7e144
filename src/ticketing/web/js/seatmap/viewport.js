// The visible part of the plan: position and scale, with limits and animation; converts plan units to CSS pixels and back.

import { prefersReducedMotion } from '../lib/dom.js';

const MARGIN = 28;
const MAX_OVERSCROLL_PX = 90;
const MAX_SEAT_PX = 46;
const ANIMATION_MS = 180;

export class Viewport {
  constructor(seats, onChange) {
    this.bounds = seats.bounds;
    this.onChange = onChange;
    this.width = 1;
    this.height = 1;
    this.x = 0;
    this.y = 0;
    this.scale = 1;
    this.maxScale = MAX_SEAT_PX / (seats.pitch * 0.8);
    this.isFitted = true;
  }

  get fitScale() {
    const { left, top, right, bottom } = this.bounds;
    const wide = (this.width - 2 * MARGIN) / Math.max(1, right - left);
    const high = (this.height - 2 * MARGIN) / Math.max(1, bottom - top);
    return Math.min(Math.max(0.001, Math.min(wide, high)), this.maxScale);
  }

  resize(width, height) {
    const middle = this.toPlan(this.width / 2, this.height / 2);
    this.width = width;
    this.height = height;
    if (this.isFitted) this.fit();
    else this.#set(middle.x - width / 2 / this.scale, middle.y - height / 2 / this.scale, this.scale);
  }

  fit() {
    this.#stopAnimation();
    const { x, y, scale } = this.#fitted();
    this.#set(x, y, scale);
    this.isFitted = true;
  }

  #fitted() {
    const { left, top, right, bottom } = this.bounds;
    const scale = this.fitScale;
    return { x: (left + right) / 2 - this.width / 2 / scale, y: (top + bottom) / 2 - this.height / 2 / scale, scale };
  }

  toPlan(px, py) {
    return { x: this.x + px / this.scale, y: this.y + py / this.scale };
  }

  toScreen(x, y) {
    return { x: (x - this.x) * this.scale, y: (y - this.y) * this.scale };
  }

  panBy(dx, dy) {
    this.#stopAnimation();
    this.isFitted = false;
    this.#set(this.x - dx / this.scale, this.y - dy / this.scale, this.scale);
  }

  /** Zooms by `factor` around the point (px, py) of the canvas. */
  zoomAt(px, py, factor) {
    this.#stopAnimation();
    this.isFitted = false;
    const { x, y, scale } = this.#zoomed(px, py, this.scale * factor);
    this.#set(x, y, scale);
  }

  #zoomed(px, py, wanted) {
    const scale = Math.min(this.maxScale, Math.max(this.fitScale * 0.9, wanted));
    const point = this.toPlan(px, py);
    return { x: point.x - px / scale, y: point.y - py / scale, scale };
  }

  animateZoom(px, py, factor) {
    this.isFitted = false;
    this.#animate(this.#zoomed(px, py, this.scale * factor));
  }

  /** Animates until the box (plan units) fills the view. */
  animateToBox({ left, top, right, bottom }) {
    const wanted = Math.min((this.width - 2 * MARGIN) / (right - left), (this.height - 2 * MARGIN) / (bottom - top));
    const scale = Math.min(this.maxScale, wanted);
    this.isFitted = false;
    this.#animate({ x: (left + right) / 2 - this.width / 2 / scale, y: (top + bottom) / 2 - this.height / 2 / scale, scale });
  }

  animateToFit() {
    this.#animate(this.#fitted());
    this.isFitted = true;
  }

  /** Brings a point into view, at `smallestScale` or larger; does nothing if it is visible at that scale. */
  reveal(x, y, smallestScale) {
    const scale = Math.max(this.scale, Math.min(smallestScale, this.maxScale));
    const at = this.toScreen(x, y);
    const isSeen = at.x > 40 && at.y > 40 && at.x < this.width - 40 && at.y < this.height - 40;
    if (isSeen && scale === this.scale) return;
    this.isFitted = false;
    this.#animate({ x: x - this.width / 2 / scale, y: y - this.height / 2 / scale, scale });
  }

  centreOn(x, y) {
    this.#stopAnimation();
    this.isFitted = false;
    this.#set(x - this.width / 2 / this.scale, y - this.height / 2 / this.scale, this.scale);
  }

  #animate(to) {
    this.#stopAnimation();
    if (prefersReducedMotion()) return this.#set(to.x, to.y, to.scale);
    const from = { x: this.x, y: this.y, scale: this.scale };
    const startedAt = performance.now();
    const step = (now) => {
      const progress = Math.min(1, Math.max(0, (now - startedAt) / ANIMATION_MS));
      const eased = 1 - (1 - progress) ** 3;
      this.#set(
        from.x + (to.x - from.x) * eased,
        from.y + (to.y - from.y) * eased,
        from.scale * (to.scale / from.scale) ** eased,
      );
      this.frame = progress < 1 ? requestAnimationFrame(step) : 0;
    };
    this.frame = requestAnimationFrame(step);
    return undefined;
  }

  #stopAnimation() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  get isAnimating() {
    return Boolean(this.frame);
  }

  #set(x, y, scale) {
    const { left, top, right, bottom } = this.bounds;
    this.scale = scale;
    this.x = clamp(x, left, right, this.width / scale, MAX_OVERSCROLL_PX / scale);
    this.y = clamp(y, top, bottom, this.height / scale, MAX_OVERSCROLL_PX / scale);
    this.onChange();
  }
}

/** Limits the position `at` of a view of length `size` to `overscroll` beyond the plan. */
function clamp(at, from, to, size, overscroll) {
  const ends = [from - overscroll, to + overscroll - size];
  return Math.min(Math.max(at, Math.min(...ends)), Math.max(...ends));
}
