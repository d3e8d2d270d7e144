// Finds seats by position: a uniform grid over the plan, with the numbers of the seats in each cell.

export class SpatialIndex {
  constructor(seats) {
    this.seats = seats;
    this.cell = seats.pitch * 4;
    this.columns = Math.max(1, Math.ceil((seats.bounds.right - seats.bounds.left) / this.cell) + 1);
    this.cells = new Map();
    for (let number = 0; number < seats.count; number += 1) {
      const key = this.#key(this.#column(seats.x[number]), this.#row(seats.y[number]));
      if (!this.cells.has(key)) this.cells.set(key, []);
      this.cells.get(key).push(number);
    }
  }

  #column(x) {
    return Math.floor((x - this.seats.bounds.left) / this.cell);
  }

  #row(y) {
    return Math.floor((y - this.seats.bounds.top) / this.cell);
  }

  #key(column, row) {
    return row * (this.columns + 2) + column;
  }

  /** Calls `visit(number)` for each seat in the cells that intersect the box, so also for some outside it. */
  forEachInBox(left, top, right, bottom, visit) {
    const lastColumn = Math.min(this.#column(right), this.columns);
    for (let row = Math.max(0, this.#row(top)); row <= this.#row(bottom); row += 1) {
      for (let column = Math.max(0, this.#column(left)); column <= lastColumn; column += 1) {
        for (const number of this.cells.get(this.#key(column, row)) ?? []) visit(number);
      }
    }
  }

  /** The seat nearest to a point, or -1 if none is within `reach` (plan units). */
  nearest(x, y, reach) {
    let found = -1;
    let best = reach * reach;
    this.forEachInBox(x - reach, y - reach, x + reach, y + reach, (number) => {
      const distance = (this.seats.x[number] - x) ** 2 + (this.seats.y[number] - y) ** 2;
      if (distance <= best) [found, best] = [number, distance];
    });
    return found;
  }

  /** The next seat from `number` in a direction (dx, dy of -1, 0, 1), preferring seats straight ahead. */
  nextInDirection(number, dx, dy) {
    const { x, y, pitch } = this.seats;
    const reach = pitch * 12;
    let found = number;
    let best = Infinity;
    this.forEachInBox(x[number] - reach, y[number] - reach, x[number] + reach, y[number] + reach, (other) => {
      const ahead = (x[other] - x[number]) * dx + (y[other] - y[number]) * dy;
      const aside = Math.abs((x[other] - x[number]) * dy) + Math.abs((y[other] - y[number]) * dx);
      const cost = ahead + aside * 2.5;
      if (ahead > pitch * 0.3 && cost < best) [found, best] = [other, cost];
    });
    return found;
  }
}
