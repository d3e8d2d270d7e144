// Paints seats. One path per appearance, not per seat: a tile of a thousand seats takes a handful of fills.
// Every appearance is opaque and has the same outline, so a new status is painted over the old one.

import { fillText } from '../lib/directions.js';
import { AVAILABLE, BLOCKED, HELD, SOLD } from './seats.js';

const DETAIL_PX = 2.6;
const NUMBER_PX = 9;

/** `view` maps plan units to pixels: {k, dx, dy}; `radius` is in pixels; `isDimmed(number)` is the filter. */
export function paintSeats(ctx, seats, numbers, view, radius, palette, isDimmed) {
  for (const [key, group] of groupByAppearance(seats, numbers, isDimmed)) {
    ctx.fillStyle = fillOf(key, palette);
    ctx.fill(circles(seats, group, view, radius));
    if (radius >= DETAIL_PX) paintDetail(ctx, seats, key, group, view, radius, palette);
  }
}

function groupByAppearance(seats, numbers, isDimmed) {
  const groups = new Map();
  for (const number of numbers) {
    const status = seats.statuses[number];
    const isFree = status === AVAILABLE;
    // 0 and up: available, by category; 100 and up: the same, dimmed by the filter; negative: other statuses.
    const key = isFree ? (seats.category[number] % 6) + (isDimmed?.(number) ? 100 : 0) : -status;
    const group = groups.get(key);
    if (group) group.push(number);
    else groups.set(key, [number]);
  }
  return groups;
}

function fillOf(key, palette) {
  if (key >= 100) return palette.dimmed[key - 100];
  if (key >= 0) return palette.categories[key];
  return { [-SOLD]: palette.sold, [-HELD]: palette.held, [-BLOCKED]: palette.blocked }[key] ?? palette.unknown;
}

function circles(seats, group, { k, dx, dy }, radius) {
  const path = new Path2D();
  for (const number of group) {
    const x = seats.x[number] * k + dx;
    const y = seats.y[number] * k + dy;
    path.moveTo(x + radius, y);
    path.arc(x, y, radius, 0, 6.2832);
  }
  return path;
}

function paintDetail(ctx, seats, key, group, view, radius, palette) {
  if (key === -SOLD) stroke(ctx, strokes(seats, group, view, radius, cross), palette.soldInk, Math.max(1, radius * 0.2));
  else if (key === -HELD) stroke(ctx, strokes(seats, group, view, radius, hatch), palette.heldInk, Math.max(1, radius * 0.14));
  else if (key >= 0 && radius >= NUMBER_PX)
    paintNames(ctx, seats, group, view, radius, key >= 100 ? palette.areaInk : palette.inks[key], palette.font);
}

function stroke(ctx, path, colour, width) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.stroke(path);
}

function strokes(seats, group, { k, dx, dy }, radius, draw) {
  const path = new Path2D();
  for (const number of group) draw(path, seats.x[number] * k + dx, seats.y[number] * k + dy, radius);
  return path;
}

function cross(path, x, y, radius) {
  const arm = radius * 0.45;
  path.moveTo(x - arm, y - arm);
  path.lineTo(x + arm, y + arm);
  path.moveTo(x + arm, y - arm);
  path.lineTo(x - arm, y + arm);
}

function hatch(path, x, y, radius) {
  const inner = radius * 0.9;
  path.moveTo(x + inner, y);
  path.arc(x, y, inner, 0, 6.2832);
  for (const shift of [-0.55, 0, 0.55]) {
    // A diagonal chord at a distance of |shift| radii from the centre.
    const half = inner * Math.sqrt(1 - shift * shift) * 0.7071;
    const off = inner * shift * 0.7071;
    path.moveTo(x + off - half, y + off + half);
    path.lineTo(x + off + half, y + off - half);
  }
}

function paintNames(ctx, seats, group, { k, dx, dy }, radius, colour, font) {
  ctx.fillStyle = colour;
  ctx.font = `600 ${Math.round(radius * 0.85)}px ${font}`;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  for (const number of group)
    fillText(ctx, seats.seatName(number), seats.x[number] * k + dx, seats.y[number] * k + dy + 0.5, radius * 1.8);
}

/** Paints a picked or held seat of this user: accent colour, tick, and two rings, to stand out from any neighbour. */
export function paintOwnSeat(ctx, x, y, radius, palette, isSmall) {
  const size = Math.max(radius, 4);
  ring(ctx, x, y, size + 3.5, palette.mine, 2);
  disc(ctx, x, y, size + 1, palette.accent);
  if (isSmall) return;
  ctx.strokeStyle = palette.accentInk;
  ctx.lineWidth = Math.max(1.5, size * 0.22);
  ctx.beginPath();
  ctx.moveTo(x - size * 0.42, y + size * 0.05);
  ctx.lineTo(x - size * 0.1, y + size * 0.38);
  ctx.lineTo(x + size * 0.45, y - size * 0.32);
  ctx.stroke();
}

export function paintHighlight(ctx, x, y, radius, palette, isFocus) {
  ring(ctx, x, y, Math.max(radius, 4) + 3, isFocus ? palette.accent : palette.mine, isFocus ? 3 : 1.5);
}

function ring(ctx, x, y, radius, colour, width) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 6.2832);
  ctx.stroke();
}

function disc(ctx, x, y, radius, colour) {
  ctx.fillStyle = colour;
  ctx.beginPath();
  ctx.arc(x, y, radius, 0, 6.2832);
  ctx.fill();
}
