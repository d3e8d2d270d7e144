// Caches the map as opaque tiles of 256 × 256 device pixels at one zoom level, so that panning only copies bitmaps. While
// the zoom changes, the old tiles are scaled; at rest, new ones are painted within a time budget per frame.

const SIZE = 256;
const MAX_TILES = 220;
// Time to paint tiles per frame.
const BUDGET_MS = 6;
// With more changed seats than this, a tile is repainted as a whole.
const PATCH_LIMIT = 160;

export class TileCache {
  /** `paint(ctx, view, box, size)` paints a whole tile; `patch(ctx, view, numbers)` repaints some seats over it. */
  constructor(origin, { paint, patch }) {
    this.origin = origin;
    this.paint = paint;
    this.patch = patch;
    this.level = null;
    this.previous = null;
  }

  /** Starts a new zoom level `k` (device pixels per plan unit); the old tiles are shown until the new ones are painted. */
  setZoom(k) {
    if (this.level?.k === k) return;
    if (this.level?.tiles.size) this.previous = this.level;
    this.level = { k, tiles: new Map() };
  }

  /** Marks all tiles as stale; they stay in use until they are repainted. */
  invalidate() {
    for (const tile of this.level?.tiles.values() ?? []) tile.stale = true;
  }

  /** Marks seats as changed. `position(number)` returns {x, y}; `reach` is the radius of a seat, in plan units. */
  invalidateSeats(numbers, position, reach) {
    if (!this.level) return;
    const { k, tiles } = this.level;
    for (const number of numbers) {
      const { x, y } = position(number);
      const span = (value, from) => Math.floor(((value - from) * k) / SIZE);
      for (let ty = span(y - reach, this.origin.y); ty <= span(y + reach, this.origin.y); ty += 1) {
        for (let tx = span(x - reach, this.origin.x); tx <= span(x + reach, this.origin.x); tx += 1)
          tiles.get(`${tx},${ty}`)?.changed.push(number);
      }
    }
  }

  /**
   * Draws the view with the upper left corner (x, y) in plan units and the zoom `k` on a canvas of `width` × `height`
   * device pixels. `drawOverview` is called if tiles are missing. Returns true if another frame is needed.
   */
  draw(ctx, { x, y, k, width, height }, drawOverview) {
    const wanted = this.#tilesInView({ x, y, k, width, height }, 0);
    const missing = wanted.filter((place) => !this.level.tiles.has(place.key));
    if (missing.length > 0) {
      drawOverview();
      if (this.previous) this.#copy(ctx, this.previous, { x, y, k, width, height });
    } else {
      this.previous = null;
    }
    this.#copy(ctx, this.level, { x, y, k, width, height });
    return this.#paintWithinBudget(wanted, this.#tilesInView({ x, y, k, width, height }, 1));
  }

  #tilesInView({ x, y, k, width, height }, ring) {
    const ratio = k / this.level.k;
    const left = (x - this.origin.x) * this.level.k;
    const top = (y - this.origin.y) * this.level.k;
    const places = [];
    for (let ty = Math.floor(top / SIZE) - ring; ty <= Math.floor((top + height / ratio) / SIZE) + ring; ty += 1) {
      for (let tx = Math.floor(left / SIZE) - ring; tx <= Math.floor((left + width / ratio) / SIZE) + ring; tx += 1) {
        places.push({ key: `${tx},${ty}`, tx, ty });
      }
    }
    return places;
  }

  #copy(ctx, level, { x, y, k, width, height }) {
    const ratio = k / level.k;
    const size = SIZE * ratio;
    // Without scaling, whole pixels make the copy exact and fast.
    const left = ratio === 1 ? Math.round((this.origin.x - x) * k) : (this.origin.x - x) * k;
    const top = ratio === 1 ? Math.round((this.origin.y - y) * k) : (this.origin.y - y) * k;
    for (const tile of level.tiles.values()) {
      const px = left + tile.tx * size;
      const py = top + tile.ty * size;
      if (px > width || py > height || px + size < 0 || py + size < 0) continue;
      // A slight overlap hides the seams between scaled tiles.
      if (ratio === 1) ctx.drawImage(tile.canvas, px, py);
      else ctx.drawImage(tile.canvas, px, py, size + 0.6, size + 0.6);
    }
  }

  /**
   * Paints missing and stale tiles until the budget is spent: first those in view, then the ring around them.
   * Returns true if a tile in view was painted, or if tiles remain to be painted.
   */
  #paintWithinBudget(wanted, around) {
    const until = performance.now() + BUDGET_MS;
    let isChanged = false;
    for (const places of [wanted, around]) {
      for (const place of places) {
        if (!this.#needsWork(place)) continue;
        if (performance.now() > until) return true;
        this.#paintTile(place);
        isChanged ||= places === wanted;
      }
    }
    this.#evict();
    return isChanged;
  }

  #needsWork({ key }) {
    const tile = this.level.tiles.get(key);
    return !tile || tile.stale || tile.changed.length > 0;
  }

  #paintTile({ key, tx, ty }) {
    const { k, tiles } = this.level;
    const tile = tiles.get(key) ?? newTile(tx, ty);
    const view = { k, dx: -this.origin.x * k - tx * SIZE, dy: -this.origin.y * k - ty * SIZE };
    if (tile.stale || tile.changed.length > PATCH_LIMIT) {
      const left = this.origin.x + (tx * SIZE) / k;
      const top = this.origin.y + (ty * SIZE) / k;
      this.paint(tile.ctx, view, { left, top, right: left + SIZE / k, bottom: top + SIZE / k }, SIZE);
    } else {
      this.patch(tile.ctx, view, tile.changed);
    }
    tile.stale = false;
    tile.changed = [];
    tiles.delete(key);
    tiles.set(key, tile);
  }

  #evict() {
    const { tiles } = this.level;
    for (const key of tiles.keys()) {
      if (tiles.size <= MAX_TILES) return;
      tiles.delete(key);
    }
  }
}

function newTile(tx, ty) {
  const canvas = document.createElement('canvas');
  canvas.width = SIZE;
  canvas.height = SIZE;
  return { canvas, ctx: canvas.getContext('2d', { alpha: false }), tx, ty, stale: true, changed: [] };
}
