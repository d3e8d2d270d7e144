// The seat map on a canvas: cached tiles below, own and highlighted seats above. A frame is drawn only after a change.

import { fillText } from '../lib/directions.js';
import { oncePerFrame } from '../lib/dom.js';
import { buildMapElements } from './map-elements.js';
import { attachMapInput } from './map-input.js';
import { Minimap } from './minimap.js';
import { readPalette } from './palette.js';
import { paintHighlight, paintOwnSeat, paintSeats } from './seat-renderer.js';
import { drawSectionLabels } from './section-labels.js';
import { SectionShapes, paintAreas } from './section-renderer.js';
import { SpatialIndex } from './spatial-index.js';
import { TileCache } from './tile-cache.js';
import { Viewport } from './viewport.js';

// Radius of a seat as a share of the distance between two seats.
const RADIUS_PER_PITCH = 0.4;
// Diameters, in CSS pixels, from which single seats and row names are drawn.
const MIN_SEAT_PX = 4.2;
const MIN_SEAT_PX_FOR_ROW_NAMES = 13;
const MAX_PIXEL_RATIO = 2;
// The zoom is considered at rest after this time.
const ZOOM_REST_MS = 110;
const SECTION_REPAINT_MS = 900;

export class SeatMap {
  /** Calls `on.toggle(number)` when a seat is pressed and `on.point(number, where)` when one is highlighted (-1: none). */
  constructor(host, seats, on) {
    this.seats = seats;
    this.on = on;
    const { left, top, right, bottom } = seats.bounds;
    host.style.setProperty('--plan-ratio', String((bottom - top) / Math.max(1, right - left)));
    this.radius = seats.pitch * RADIUS_PER_PITCH;
    this.index = new SpatialIndex(seats);
    this.shapes = new SectionShapes(seats);
    this.palette = readPalette();
    this.mine = new Set();
    this.filter = null;
    this.hover = -1;
    this.focus = -1;
    this.elements = buildMapElements(host, this);
    this.canvas = this.elements.canvas;
    this.ctx = this.canvas.getContext('2d', { alpha: false });
    const margin = seats.pitch * 4;
    this.tiles = new TileCache(
      { x: seats.bounds.left - margin, y: seats.bounds.top - margin },
      { paint: this.#paintTile, patch: this.#patchTile },
    );
    this.draw = oncePerFrame(() => this.#draw());
    this.viewport = new Viewport(seats, this.draw);
    this.minimap = new Minimap(this.elements.minimap, this);
    attachMapInput(this.elements.stage, this);
    this.#watchSizeAndColours();
  }

  #watchSizeAndColours() {
    new ResizeObserver(() => this.#resize()).observe(this.elements.stage);
    this.#resize();
    const repaint = () => {
      this.palette = readPalette();
      this.tiles.invalidate();
      this.minimap.paint();
      this.draw();
    };
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', repaint);
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.elements.stage;
    if (!width || !height) return;
    this.pixelRatio = Math.min(devicePixelRatio || 1, MAX_PIXEL_RATIO);
    this.canvas.width = Math.round(width * this.pixelRatio);
    this.canvas.height = Math.round(height * this.pixelRatio);
    this.viewport.resize(width, height);
    this.minimap.paint();
    this.draw();
  }

  get seatPx() {
    return this.radius * 2 * this.viewport.scale;
  }

  get showsSeats() {
    return this.#isSeatZoom(this.viewport.scale);
  }

  #isSeatZoom(scale) {
    return this.radius * 2 * scale >= MIN_SEAT_PX;
  }

  /** Repaints the changed seats. At a zoom that shows sections only, all tiles are repainted, at most every 900 ms. */
  seatsChanged(numbers) {
    if (numbers.length > 400) this.tiles.invalidate();
    else if (this.showsSeats)
      this.tiles.invalidateSeats(numbers, (number) => ({ x: this.seats.x[number], y: this.seats.y[number] }), this.radius * 1.2);
    if (!this.showsSeats && !this.sectionRepaintTimer) {
      this.sectionRepaintTimer = setTimeout(() => {
        this.sectionRepaintTimer = 0;
        this.tiles.invalidate();
        this.draw();
      }, SECTION_REPAINT_MS);
    }
    this.draw();
  }

  setOwnSeats(numbers) {
    this.mine = new Set(numbers);
    this.draw();
  }

  /** Dims every category that is not in the set; null shows all. */
  setFilter(categories) {
    this.filter = categories;
    this.tiles.invalidate();
    this.draw();
  }

  #isDimmed = (number) => this.filter !== null && !this.filter.has(this.seats.category[number]);

  #paintTile = (ctx, view, box, size) => {
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.fillStyle = this.palette.paper;
    ctx.fillRect(0, 0, size, size);
    ctx.setTransform(view.k, 0, 0, view.k, view.dx, view.dy);
    paintAreas(ctx, this.seats, this.palette, view.k, 26 * this.pixelRatio);
    if (!this.#isSeatZoom(view.k / this.pixelRatio)) {
      this.shapes.paint(ctx, box, this.palette, (category) => this.filter !== null && !this.filter.has(category));
      return;
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    this.#paintRowNames(ctx, view, box);
    const numbers = [];
    this.index.forEachInBox(
      box.left - this.radius,
      box.top - this.radius,
      box.right + this.radius,
      box.bottom + this.radius,
      (number) => numbers.push(number),
    );
    this.#patchTile(ctx, view, numbers);
  };

  #patchTile = (ctx, view, numbers) => {
    if (!this.#isSeatZoom(view.k / this.pixelRatio)) return;
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    paintSeats(ctx, this.seats, numbers, view, this.radius * view.k, this.palette, this.#isDimmed);
  };

  #paintRowNames(ctx, { k, dx, dy }, box) {
    const size = this.radius * k;
    if ((size * 2) / this.pixelRatio < MIN_SEAT_PX_FOR_ROW_NAMES) return;
    ctx.fillStyle = this.palette.areaInk;
    ctx.font = `${Math.min(Math.max(size * 1.1, 10 * this.pixelRatio), 15 * this.pixelRatio)}px ${this.palette.font}`;
    ctx.textBaseline = 'middle';
    const pad = this.seats.pitch * 3;
    for (const { text, align, x, y } of this.shapes.rowNames) {
      if (x < box.left - pad || x > box.right + pad || y < box.top - pad || y > box.bottom + pad) continue;
      ctx.textAlign = align;
      fillText(ctx, text, x * k + dx, y * k + dy);
    }
  }

  #draw() {
    const { viewport, ctx, pixelRatio } = this;
    if (!pixelRatio) return;
    this.#chooseTileZoom();
    const view = {
      x: viewport.x,
      y: viewport.y,
      k: viewport.scale * pixelRatio,
      width: this.canvas.width,
      height: this.canvas.height,
    };
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    const isUnfinished = this.tiles.draw(ctx, view, () => this.#drawOverview(view));
    this.#drawOverlay();
    this.minimap.draw();
    this.elements.showZoom(viewport);
    if (isUnfinished) this.draw();
  }

  /** Starts new tiles when the zoom is at rest, or when it differs so much that the old tiles are blurred or tiny. */
  #chooseTileZoom() {
    const k = this.viewport.scale * this.pixelRatio;
    const ratio = this.tiles.level ? k / this.tiles.level.k : 0;
    if (ratio === 1) return;
    const now = performance.now();
    if (this.lastScale !== this.viewport.scale) this.lastZoomAt = now;
    this.lastScale = this.viewport.scale;
    const isResting = !this.viewport.isAnimating && now - this.lastZoomAt >= ZOOM_REST_MS;
    if (ratio === 0 || isResting || ratio > 2.2 || ratio < 0.45) this.tiles.setZoom(k);
    else setTimeout(this.draw, ZOOM_REST_MS);
  }

  #drawOverview(view) {
    const { ctx, palette } = this;
    ctx.fillStyle = palette.paper;
    ctx.fillRect(0, 0, view.width, view.height);
    this.minimap.drawOverview(ctx, view);
  }

  #drawOverlay() {
    const { ctx, viewport, palette, pixelRatio, seats } = this;
    ctx.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
    if (!this.showsSeats) drawSectionLabels(ctx, this.shapes.shapes, viewport, palette);
    const radius = this.radius * viewport.scale;
    for (const number of this.mine) {
      const at = viewport.toScreen(seats.x[number], seats.y[number]);
      paintOwnSeat(ctx, at.x, at.y, radius, palette, radius < 5);
    }
    for (const number of new Set([this.hover, this.focus])) {
      if (number < 0) continue;
      const at = viewport.toScreen(seats.x[number], seats.y[number]);
      paintHighlight(ctx, at.x, at.y, radius, palette, number === this.focus);
    }
  }

  /** Highlights a seat for a pointer (`hover`) or for the keyboard (`focus`); -1 removes the highlight. */
  highlight(kind, number) {
    if (this[kind] === number) return;
    this[kind] = number;
    const shown = this.focus >= 0 && kind === 'focus' ? this.focus : this.hover;
    this.on.point(shown, shown < 0 ? null : this.viewport.toScreen(this.seats.x[shown], this.seats.y[shown]));
    this.draw();
  }

  /** The seat at a point of the canvas, or -1; `reachPx` is larger for a finger than for a mouse. */
  seatAt(px, py, reachPx) {
    if (!this.showsSeats) return -1;
    const { x, y } = this.viewport.toPlan(px, py);
    return this.index.nearest(x, y, Math.max(this.radius * 1.25, reachPx / this.viewport.scale));
  }

  sectionAt(px, py) {
    const { x, y } = this.viewport.toPlan(px, py);
    const number = this.index.nearest(x, y, this.seats.pitch * 2);
    return number < 0 ? null : this.shapes.shapes[this.seats.section[number]];
  }

  /** Brings a seat into view that was chosen elsewhere (in the list, or as best available). */
  reveal(number) {
    this.viewport.reveal(this.seats.x[number], this.seats.y[number], 12 / (this.radius * 2));
  }
}
