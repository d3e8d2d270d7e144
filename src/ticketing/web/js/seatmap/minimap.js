// The mini-map: the whole plan with a frame around the visible part; dragging the frame pans the map.
// Its picture, the overview, is also shown in place of tiles that are not painted yet.

import { paintAreas } from './section-renderer.js';

const OVERVIEW_PX = 900;

export class Minimap {
  constructor(canvas, map) {
    this.canvas = canvas;
    this.ctx = canvas.getContext('2d');
    this.map = map;
    this.overview = document.createElement('canvas');
    const move = (event) => {
      if (event.buttons === 0 && event.type !== 'pointerdown') return;
      const box = canvas.getBoundingClientRect();
      const { left, top } = map.seats.bounds;
      map.viewport.centreOn(
        left + (event.clientX - box.left - this.inset.x) / this.scale,
        top + (event.clientY - box.top - this.inset.y) / this.scale,
      );
    };
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      move(event);
    });
    canvas.addEventListener('pointermove', move);
  }

  /** Paints the overview: at the start, and when colours or size change. */
  paint() {
    const { seats, palette, shapes } = this.map;
    const { left, top, right, bottom } = seats.bounds;
    const margin = seats.pitch * 2;
    const k = OVERVIEW_PX / (Math.max(right - left, bottom - top) + margin * 2);
    this.overviewOrigin = { x: left - margin, y: top - margin, k };
    this.overview.width = Math.ceil((right - left + margin * 2) * k);
    this.overview.height = Math.ceil((bottom - top + margin * 2) * k);
    const ctx = this.overview.getContext('2d', { alpha: false });
    ctx.fillStyle = palette.paper;
    ctx.fillRect(0, 0, this.overview.width, this.overview.height);
    ctx.setTransform(k, 0, 0, k, -this.overviewOrigin.x * k, -this.overviewOrigin.y * k);
    paintAreas(ctx, seats, palette, k);
    shapes.paint(ctx, { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity }, palette, () => true);
    this.#fitCanvas(right - left, bottom - top);
  }

  #fitCanvas(wide, high) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const pixelRatio = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, width * pixelRatio);
    this.canvas.height = Math.max(1, height * pixelRatio);
    this.pixelRatio = pixelRatio;
    this.scale = Math.min((width - 8) / wide, (height - 8) / high);
    this.inset = { x: (width - wide * this.scale) / 2, y: (height - high * this.scale) / 2 };
  }

  drawOverview(ctx, { x, y, k }) {
    if (!this.overviewOrigin) return;
    const ratio = k / this.overviewOrigin.k;
    ctx.drawImage(
      this.overview,
      (this.overviewOrigin.x - x) * k,
      (this.overviewOrigin.y - y) * k,
      this.overview.width * ratio,
      this.overview.height * ratio,
    );
  }

  draw() {
    const { viewport, seats, palette } = this.map;
    const isUseful = viewport.scale > viewport.fitScale * 1.15;
    if (this.canvas.hidden === isUseful) this.canvas.hidden = !isUseful;
    if (!isUseful) return;
    if (!this.scale || this.canvas.width <= 1) this.paint();
    const { ctx, pixelRatio, scale, inset } = this;
    const { left, top } = seats.bounds;
    ctx.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
    ctx.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const size = scale / this.overviewOrigin.k;
    ctx.drawImage(
      this.overview,
      inset.x + (this.overviewOrigin.x - left) * scale,
      inset.y + (this.overviewOrigin.y - top) * scale,
      this.overview.width * size,
      this.overview.height * size,
    );
    ctx.strokeStyle = palette.accent;
    ctx.lineWidth = 2;
    const box = [
      inset.x + (viewport.x - left) * scale,
      inset.y + (viewport.y - top) * scale,
      (viewport.width / viewport.scale) * scale,
      (viewport.height / viewport.scale) * scale,
    ];
    ctx.strokeRect(...box);
  }
}
