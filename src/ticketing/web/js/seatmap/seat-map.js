// The seat map on a canvas: tiles below, what is mine and what is pointed at above, and a frame only when something moved.

import { oncePerFrame } from '../lib/dom.js';
import { buildMapFrame } from './map-elements.js';
import { listenToMap } from './map-input.js';
import { Minimap } from './minimap.js';
import { readPalette } from './palette.js';
import { paintHalo, paintMine, paintSeats } from './seat-renderer.js';
import { drawSectionNames } from './section-labels.js';
import { SectionShapes, paintAreas } from './section-renderer.js';
import { SeatGrid } from './spatial-index.js';
import { Tiles } from './tile-cache.js';
import { Camera } from './viewport.js';

const SEAT_SHARE = 0.4;
const SEATS_FROM_PX = 4.2;
const ROW_NAMES_FROM_PX = 13;
const SHARPEST = 2;
const REST_MS = 110;
const TONE_MS = 900;

export class SeatMap {
  /** `on.toggle(number)` when a seat is pressed; `on.say(number, where)` when one is pointed at (-1: none). */
  constructor(host, seats, on) {
    this.seats = seats;
    this.on = on;
    this.radius = seats.pitch * SEAT_SHARE;
    this.grid = new SeatGrid(seats);
    this.shapes = new SectionShapes(seats);
    this.palette = readPalette();
    this.mine = new Set();
    this.filter = null;
    this.hover = -1;
    this.focus = -1;
    this.frame = buildMapFrame(host, this);
    this.canvas = this.frame.canvas;
    this.ctx = this.canvas.getContext('2d', { alpha: false });
    const margin = seats.pitch * 4;
    this.tiles = new Tiles(
      { x: seats.bounds.left - margin, y: seats.bounds.top - margin },
      { paint: this.#paintTile, patch: this.#patchTile },
    );
    this.draw = oncePerFrame(() => this.#draw());
    this.camera = new Camera(seats, this.draw);
    this.minimap = new Minimap(this.frame.minimap, this);
    listenToMap(this.frame.stage, this);
    this.#watchSurroundings();
  }

  #watchSurroundings() {
    new ResizeObserver(() => this.#resize()).observe(this.frame.stage);
    this.#resize();
    const repaint = () => {
      this.palette = readPalette();
      this.tiles.spoil();
      this.minimap.paint();
      this.draw();
    };
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.frame.stage;
    if (!width || !height) return;
    this.sharpness = Math.min(devicePixelRatio || 1, SHARPEST);
    this.canvas.width = Math.round(width * this.sharpness);
    this.canvas.height = Math.round(height * this.sharpness);
    this.camera.resize(width, height);
    this.minimap.paint();
    this.draw();
  }

  get seatPx() {
    return this.radius * 2 * this.camera.scale;
  }

  get showsSeats() {
    return this.#isSeatZoom(this.camera.scale);
  }

  #isSeatZoom(scale) {
    return this.radius * 2 * scale >= SEATS_FROM_PX;
  }

  /** The seats that changed are painted over; sections seen from afar follow at their leisure. */
  seatsChanged(numbers) {
    if (numbers.length > 400) this.tiles.spoil();
    else if (this.showsSeats)
      this.tiles.spoilSeats(numbers, (number) => ({ x: this.seats.x[number], y: this.seats.y[number] }), this.radius * 1.2);
    if (!this.showsSeats && !this.toneTimer) {
      this.toneTimer = setTimeout(() => {
        this.toneTimer = 0;
        this.tiles.spoil();
        this.draw();
      }, TONE_MS);
    }
    this.draw();
  }

  setMine(numbers) {
    this.mine = new Set(numbers);
    this.draw();
  }

  /** Dims every category that is not in the set; null shows all. */
  setFilter(categories) {
    this.filter = categories;
    this.tiles.spoil();
    this.draw();
  }

  #isDimmed = (number) => this.filter !== null && !this.filter.has(this.seats.category[number]);

  #paintTile = (ctx, view, box, size) => {
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = this.palette.paper;
    ctx.fillRect(0, 0, size, size);
    ctx.setTransform(view.k, 0, 0, view.k, view.dx, view.dy);
    paintAreas(ctx, this.seats, this.palette, view.k, 26 * this.sharpness);
    if (!this.#isSeatZoom(view.k / this.sharpness)) {
      this.shapes.paint(ctx, box, this.palette, (category) => this.filter !== null && !this.filter.has(category));
      return;
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    this.#paintRowNames(ctx, view, box);
    const numbers = [];
    this.grid.inBox(box.left - this.radius, box.top - this.radius, box.right + this.radius, box.bottom + this.radius, (number) =>
      numbers.push(number),
    );
    this.#patchTile(ctx, view, numbers);
  };

  #patchTile = (ctx, view, numbers) => {
    if (!this.#isSeatZoom(view.k / this.sharpness)) return;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    paintSeats(ctx, this.seats, numbers, view, this.radius * view.k, this.palette, this.#isDimmed);
  };

  #paintRowNames(ctx, { k, dx, dy }, box) {
    const size = this.radius * k;
    if ((size * 2) / this.sharpness < ROW_NAMES_FROM_PX) return;
    ctx.fillStyle = this.palette.areaInk;
    ctx.font = `${Math.min(Math.max(size * 1.1, 10 * this.sharpness), 15 * this.sharpness)}px ${this.palette.font}`;
    ctx.textBaseline = 'middle';
    const pad = this.seats.pitch * 3;
    for (const { text, align, x, y } of this.shapes.rowNames) {
      if (x < box.left - pad || x > box.right + pad || y < box.top - pad || y > box.bottom + pad) continue;
      ctx.textAlign = align;
      ctx.fillText(text, x * k + dx, y * k + dy);
    }
  }

  #draw() {
    const { camera, ctx, sharpness } = this;
    if (!sharpness) return;
    this.#chooseZoom();
    const view = { x: camera.x, y: camera.y, k: camera.scale * sharpness, width: this.canvas.width, height: this.canvas.height };
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    const isUnfinished = this.tiles.draw(ctx, view, () => this.#drawGround(view));
    this.#drawAbove();
    this.minimap.draw();
    this.frame.zoomed(camera);
    if (isUnfinished) this.draw();
  }

  /** New tiles are worth painting when the zoom has come to rest, or has gone so far that the old ones are mush. */
  #chooseZoom() {
    const k = this.camera.scale * this.sharpness;
    const ratio = this.tiles.level ? k / this.tiles.level.k : 0;
    if (ratio === 1) return;
    const now = performance.now();
    if (this.lastScale !== this.camera.scale) this.lastZoomAt = now;
    this.lastScale = this.camera.scale;
    const isResting = !this.camera.isGliding && now - this.lastZoomAt >= REST_MS;
    if (ratio === 0 || isResting || ratio > 2.2 || ratio < 0.45) this.tiles.setZoom(k);
    else setTimeout(this.draw, REST_MS);
  }

  #drawGround(view) {
    const { ctx, palette } = this;
    ctx.fillStyle = palette.paper;
    ctx.fillRect(0, 0, view.width, view.height);
    this.minimap.drawGround(ctx, view);
  }

  #drawAbove() {
    const { ctx, camera, palette, sharpness, seats } = this;
    ctx.setTransform(sharpness, 0, 0, sharpness, 0, 0);
    if (!this.showsSeats) drawSectionNames(ctx, this.shapes.shapes, camera, palette);
    const radius = this.radius * camera.scale;
    for (const number of this.mine) {
      const at = camera.toScreen(seats.x[number], seats.y[number]);
      paintMine(ctx, at.x, at.y, radius, palette, radius < 5);
    }
    for (const number of new Set([this.hover, this.focus])) {
      if (number < 0) continue;
      const at = camera.toScreen(seats.x[number], seats.y[number]);
      paintHalo(ctx, at.x, at.y, radius, palette, number === this.focus);
    }
  }

  /** Points at a seat with the mouse or finger (`hover`) or the keyboard (`focus`); -1 lets go. */
  pointAt(kind, number) {
    if (this[kind] === number) return;
    this[kind] = number;
    const shown = this.focus >= 0 && kind === 'focus' ? this.focus : this.hover;
    this.on.say(shown, shown < 0 ? null : this.camera.toScreen(this.seats.x[shown], this.seats.y[shown]));
    this.draw();
  }

  /** The seat under a point of the screen, or -1; a finger reaches further than a mouse. */
  seatAt(px, py, reachPx) {
    if (!this.showsSeats) return -1;
    const { x, y } = this.camera.toPlan(px, py);
    return this.grid.nearest(x, y, Math.max(this.radius * 1.25, reachPx / this.camera.scale));
  }

  sectionAt(px, py) {
    const { x, y } = this.camera.toPlan(px, py);
    const number = this.grid.nearest(x, y, this.seats.pitch * 2);
    return number < 0 ? null : this.shapes.shapes[this.seats.section[number]];
  }

  /** Shows a seat that was chosen elsewhere (the list, best available). */
  reveal(number) {
    this.camera.reveal(this.seats.x[number], this.seats.y[number], 12 / (this.radius * 2));
  }
}
