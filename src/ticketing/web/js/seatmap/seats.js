// The seats of one event as arrays indexed by seat number: geometry, set once, and statuses, updated live.

import { normalizeArea } from './plan-areas.js';

export const AVAILABLE = 0;
export const HELD = 1;
export const SOLD = 2;
export const BLOCKED = 3;
const UNKNOWN = 4;

const STATUS_BY_CODE = { a: AVAILABLE, h: HELD, s: SOLD, b: BLOCKED };
export const STATUS_NAMES = ['available', 'held', 'sold', 'blocked', 'unknown'];

export class Seats {
  constructor(seatmap, ticketTypes) {
    this.list = [];
    for (const seat of seatmap.seats) this.list[seat.number] = seat;
    const count = this.list.length;
    this.statuses = new Uint8Array(count).fill(UNKNOWN);
    this.x = Float32Array.from(this.list, (seat) => seat?.x ?? 0);
    this.y = Float32Array.from(this.list, (seat) => seat?.y ?? 0);
    this.byLabel = new Map(seatmap.seats.map((seat) => [seat.label, seat.number]));
    this.areas = (seatmap.areas ?? []).map(normalizeArea);
    this.hasPositions = seatmap.seats.some((seat) => seat.x || seat.y);
    this.version = -1;
    this.#indexCategories(seatmap, ticketTypes);
    this.#indexSections();
    if (!this.hasPositions) layOutRows(this);
    this.bounds = boundsOf(this);
    this.pitch = seatPitch(this);
  }

  get count() {
    return this.list.length;
  }

  #indexCategories(seatmap, ticketTypes) {
    const names = new Set((seatmap.categories ?? []).map((category) => category.name));
    for (const seat of seatmap.seats) names.add(seat.category);
    this.categories = [...names].map((name, index) => {
      const type = ticketTypes.find((ticketType) => ticketType.categories?.includes(name)) ?? null;
      return { name, index, type, price: type?.price ?? null, total: 0, free: 0 };
    });
    const indexOf = new Map(this.categories.map((category) => [category.name, category.index]));
    this.category = Uint8Array.from(this.list, (seat) => indexOf.get(seat?.category) ?? 0);
    for (const index of this.category) this.categories[index].total += 1;
  }

  #indexSections() {
    const found = new Map();
    this.section = new Uint16Array(this.count);
    for (const seat of this.list) {
      if (!seat) continue;
      if (!found.has(seat.section))
        found.set(seat.section, { name: seat.section, index: found.size, rows: new Map(), free: 0, total: 0 });
      const section = found.get(seat.section);
      if (!section.rows.has(seat.row)) section.rows.set(seat.row, { name: seat.row, section, seats: [] });
      section.rows.get(seat.row).seats.push(seat.number);
      section.total += 1;
      this.section[seat.number] = section.index;
    }
    // A later version of a plan has numbers in another order than its seats.
    const place = (number) => this.list[number].position ?? number;
    for (const { rows } of found.values())
      for (const row of rows.values()) row.seats.sort((a, b) => place(a) - place(b));
    this.sections = [...found.values()].map((section) => ({ ...section, rows: [...section.rows.values()] }));
  }

  /** Applies a snapshot, a string with one status code per seat; returns the numbers of the seats that changed. */
  applySnapshot(codes, version) {
    const changes = [];
    for (let number = 0; number < this.count; number += 1) {
      const code = codes[number];
      if (code !== undefined && STATUS_BY_CODE[code] !== this.statuses[number]) changes.push([number, code]);
    }
    return this.applyChanges(changes, version);
  }

  /** Applies `[[number, code], …]`; returns the numbers of the seats that changed. */
  applyChanges(changes, version) {
    const changed = [];
    for (const [number, code] of changes) {
      const status = STATUS_BY_CODE[code] ?? UNKNOWN;
      if (number >= this.count || status === this.statuses[number]) continue;
      this.#setStatus(number, status);
      changed.push(number);
    }
    this.version = version ?? this.version;
    return changed;
  }

  #setStatus(number, status) {
    const step = Number(status === AVAILABLE) - Number(this.statuses[number] === AVAILABLE);
    this.sections[this.section[number]].free += step;
    this.categories[this.category[number]].free += step;
    this.statuses[number] = status;
  }

  categoryOf(number) {
    return this.categories[this.category[number]];
  }

  priceOf(number) {
    return this.categoryOf(number).price;
  }

  canPick(number) {
    return this.statuses[number] === AVAILABLE && this.priceOf(number) !== null;
  }

  /** The last part of the label, as printed on the seat. */
  seatName(number) {
    const seat = this.list[number];
    return String(seat.seat ?? seat.label.slice(seat.label.lastIndexOf('-') + 1));
  }

  rowOf(number) {
    const seat = this.list[number];
    return this.sections[this.section[number]].rows.find((row) => row.name === seat.row);
  }

  /** The `count` adjacent free seats of the same row that are closest to `number`; empty if there are none. */
  adjacentFree(number, count, taken = new Set()) {
    const seats = this.rowOf(number)?.seats ?? [];
    const at = seats.indexOf(number);
    let best = [];
    let bestDistance = Infinity;
    for (let start = 0; start + count <= seats.length; start += 1) {
      const run = seats.slice(start, start + count);
      const distance = Math.abs(start + (count - 1) / 2 - at);
      if (distance < bestDistance && run.every((seat) => this.canPick(seat) && !taken.has(seat)))
        [best, bestDistance] = [run, distance];
    }
    return best;
  }
}

/** Lays out a venue without coordinates: rows become lines, sections are placed below each other. */
function layOutRows(seats) {
  let y = 0;
  for (const section of seats.sections) {
    for (const row of section.rows) {
      row.seats.forEach((number, index) => {
        seats.x[number] = (index - (row.seats.length - 1) / 2) * 24;
        seats.y[number] = y;
      });
      y += 26;
    }
    y += 60;
  }
}

function boundsOf({ x, y, areas }) {
  const box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
  const include = (px, py) => {
    box.left = Math.min(box.left, px);
    box.right = Math.max(box.right, px);
    box.top = Math.min(box.top, py);
    box.bottom = Math.max(box.bottom, py);
  };
  for (let i = 0; i < x.length; i += 1) include(x[i], y[i]);
  for (const area of areas) {
    include(area.x, area.y);
    include(area.x + area.width, area.y + area.height);
  }
  return box;
}

/** The median distance between neighbouring seats of a row, in plan units. */
function seatPitch(seats) {
  const gaps = [];
  for (const section of seats.sections) {
    for (const { seats: row } of section.rows) {
      for (let i = 1; i < row.length; i += 1) {
        gaps.push(Math.hypot(seats.x[row[i]] - seats.x[row[i - 1]], seats.y[row[i]] - seats.y[row[i - 1]]));
      }
    }
  }
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] || 24;
}
