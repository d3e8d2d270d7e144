// Paints areas such as the stage, and sections at a zoom where single seats are too small; places the names of rows.
// A section is drawn as its rows in broad strokes: unlike a hull, they follow curves, aisles and boxes.

import { fillText } from '../lib/directions.js';
import { mixColours } from './palette.js';

// A gap between two seats of more than this many pitches is an aisle.
const AISLE_PITCHES = 2.6;

export class SectionShapes {
  constructor(seats) {
    this.seats = seats;
    this.shapes = seats.sections.map((section) => shapeOf(seats, section));
    this.rowNames = seats.sections.flatMap((section) => section.rows.flatMap((row) => rowEnds(seats, row)));
  }

  /** `box` is the part of the plan to paint; the transform of the context maps plan units to pixels. */
  paint(ctx, box, palette, isDimmed) {
    for (const shape of this.shapes) {
      if (shape.left > box.right || shape.right < box.left || shape.top > box.bottom || shape.bottom < box.top) continue;
      const share = shape.section.total ? shape.section.free / shape.section.total : 0;
      ctx.lineWidth = shape.width;
      ctx.lineCap = 'square';
      ctx.lineJoin = 'round';
      for (const [category, path] of shape.paths) {
        ctx.strokeStyle = sectionColour(category, share, palette, isDimmed?.(category));
        ctx.stroke(path);
      }
    }
  }
}

/** `textPx` is the maximum text height in pixels of the context. */
export function paintAreas(ctx, seats, palette, k, textPx = 26) {
  for (const area of seats.areas) {
    ctx.fillStyle = palette.area;
    ctx.fill(area.outline);
    if (!area.text) continue;
    ctx.fillStyle = palette.areaInk;
    const size = Math.min(area.height * 0.36, (area.width / area.text.length) * 1.2, textPx / k);
    ctx.font = `600 ${size}px ${palette.font}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    fillText(ctx, area.text, area.x + area.width / 2, area.y + area.height / 2);
  }
}

/** The more seats are free, the stronger the colour; a section without free seats has the grey of sold seats. */
function sectionColour(category, share, palette, isDimmed) {
  if (share === 0) return palette.sold;
  return mixColours(palette.categories[category % 6], palette.paper, isDimmed ? 0.85 : 0.55 - 0.45 * share);
}

function shapeOf(seats, section) {
  const numbers = section.rows.flatMap((row) => row.seats);
  const width = rowPitch(seats, section) * 1.12;
  const paths = new Map();
  for (const row of section.rows) addRow(seats, row, paths);
  const xs = numbers.map((number) => seats.x[number]);
  const ys = numbers.map((number) => seats.y[number]);
  const pad = width;
  const box = {
    left: Math.min(...xs) - pad,
    right: Math.max(...xs) + pad,
    top: Math.min(...ys) - pad,
    bottom: Math.max(...ys) + pad,
  };
  // The room for the label: the shorter side of the section, as if it were not rotated.
  const room = Math.min((numbers.length / section.rows.length) * seats.pitch, section.rows.length * width);
  return { section, width, paths, ...box, room, label: labelPlace(seats, section) };
}

function addRow(seats, row, paths) {
  let last = -1;
  for (const number of row.seats) {
    const category = seats.category[number];
    if (!paths.has(category)) paths.set(category, new Path2D());
    const path = paths.get(category);
    const isNewStroke =
      last < 0 || seats.category[last] !== category || distance(seats, last, number) > seats.pitch * AISLE_PITCHES;
    if (isNewStroke) path.moveTo(seats.x[number] - 0.01, seats.y[number]);
    path.lineTo(seats.x[number], seats.y[number]);
    last = number;
  }
}

const distance = (seats, a, b) => Math.hypot(seats.x[a] - seats.x[b], seats.y[a] - seats.y[b]);

function rowPitch(seats, section) {
  const gaps = [];
  for (let index = 1; index < section.rows.length; index += 1) {
    const middle = section.rows[index].seats[section.rows[index].seats.length >> 1];
    gaps.push(Math.min(...section.rows[index - 1].seats.map((other) => distance(seats, middle, other))));
  }
  gaps.sort((a, b) => a - b);
  return Math.min(gaps[gaps.length >> 1] ?? seats.pitch, seats.pitch * 2);
}

/** The centre of the section, or the seat closest to it if the centre lies in a gap between two halves. */
function labelPlace(seats, section) {
  const numbers = section.rows.flatMap((row) => row.seats);
  const middle = { x: mean(numbers.map((n) => seats.x[n])), y: mean(numbers.map((n) => seats.y[n])) };
  let best = numbers[0];
  const away = (n) => (seats.x[n] - middle.x) ** 2 + (seats.y[n] - middle.y) ** 2;
  for (const number of numbers) if (away(number) < away(best)) best = number;
  const isSplit = Math.sqrt(away(best)) > seats.pitch * 3;
  return isSplit ? { x: seats.x[best], y: seats.y[best] } : middle;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function rowEnds(seats, row) {
  const ends = [];
  const add = (end, inner) => {
    const length = inner === undefined ? 1 : distance(seats, end, inner) || 1;
    const dx = inner === undefined ? -1 : (seats.x[end] - seats.x[inner]) / length;
    const dy = inner === undefined ? 0 : (seats.y[end] - seats.y[inner]) / length;
    const align = dx < -0.4 ? 'right' : dx > 0.4 ? 'left' : 'center';
    const away = seats.pitch * (align === 'center' ? 1 : 0.7);
    ends.push({ text: String(row.name), align, x: seats.x[end] + dx * away, y: seats.y[end] + dy * away });
  };
  add(row.seats[0], row.seats[1]);
  if (row.seats.length > 4) add(row.seats.at(-1), row.seats.at(-2));
  return ends;
}
