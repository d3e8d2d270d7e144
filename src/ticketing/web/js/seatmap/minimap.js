// The whole plan in a corner, with a frame around what is in view; dragging the frame moves the view.
// Its picture also serves as the ground below tiles that are not painted yet.

import { paintAreas } from './section-renderer.js';

const GROUND_PX = 900;

export class Minimap {
  constructor(canvas, map) {
    this.canvas = canvas;
    this.ctx = canvas.getContext('2d');
    this.map = map;
    this.ground = document.createElement('canvas');
    const move = (event) => {
      if (event.buttons === 0 && event.type !== 'pointerdown') return;
      const box = canvas.getBoundingClientRect();
      const { left, top } = map.seats.bounds;
      map.camera.centreOn(
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

  /** Paints the picture anew: at the start, and when colours or size change. */
  paint() {
    const { seats, palette, shapes } = this.map;
    const { left, top, right, bottom } = seats.bounds;
    const margin = seats.pitch * 2;
    const k = GROUND_PX / (Math.max(right - left, bottom - top) + margin * 2);
    this.groundAt = { x: left - margin, y: top - margin, k };
    this.ground.width = Math.ceil((right - left + margin * 2) * k);
    this.ground.height = Math.ceil((bottom - top + margin * 2) * k);
    const ctx = this.ground.getContext('2d', { alpha: false });
    ctx.fillStyle = palette.paper;
    ctx.fillRect(0, 0, this.ground.width, this.ground.height);
    ctx.setTransform(k, 0, 0, k, -this.groundAt.x * k, -this.groundAt.y * k);
    paintAreas(ctx, seats, palette, k);
    shapes.paint(ctx, { left: -Infinity, top: -Infinity, right: Infinity, bottom: Infinity }, palette, () => true);
    this.#fitPicture(right - left, bottom - top);
  }

  #fitPicture(wide, high) {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const sharp = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, width * sharp);
    this.canvas.height = Math.max(1, height * sharp);
    this.sharp = sharp;
    this.scale = Math.min((width - 8) / wide, (height - 8) / high);
    this.inset = { x: (width - wide * this.scale) / 2, y: (height - high * this.scale) / 2 };
  }

  drawGround(ctx, { x, y, k }) {
    if (!this.groundAt) return;
    const ratio = k / this.groundAt.k;
    ctx.drawImage(
      this.ground,
      (this.groundAt.x - x) * k,
      (this.groundAt.y - y) * k,
      this.ground.width * ratio,
      this.ground.height * ratio,
    );
  }

  draw() {
    const { camera, seats, palette } = this.map;
    const isUseful = camera.scale > camera.fitScale * 1.15;
    if (this.canvas.hidden === isUseful) this.canvas.hidden = !isUseful;
    if (!isUseful) return;
    if (!this.scale || this.canvas.width <= 1) this.paint();
    const { ctx, sharp, scale, inset } = this;
    const { left, top } = seats.bounds;
    ctx.setTransform(sharp, 0, 0, sharp, 0, 0);
    ctx.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const size = scale / this.groundAt.k;
    ctx.drawImage(
      this.ground,
      inset.x + (this.groundAt.x - left) * scale,
      inset.y + (this.groundAt.y - top) * scale,
      this.ground.width * size,
      this.ground.height * size,
    );
    ctx.strokeStyle = palette.accent;
    ctx.lineWidth = 2;
    const box = [
      inset.x + (camera.x - left) * scale,
      inset.y + (camera.y - top) * scale,
      (camera.width / camera.scale) * scale,
      (camera.height / camera.scale) * scale,
    ];
    ctx.strokeRect(...box);
  }
}
