// Writes each section's name and what is left of it, where there is room for it. A name is drawn once into a small
// bitmap and then copied: text with a halo is the dearest thing on the map.

import { t } from '../words/translate.js';

const bitmaps = new Map();
const SHARP = 2;
const LEAST_ROOM = 20;
const ROOM_FOR_LARGE = 32;
const ROOM_FOR_TWO_LINES = 46;

export function drawSectionLabels(ctx, shapes, viewport, palette) {
  for (const shape of shapes) {
    const room = shape.room * viewport.scale;
    if (room < LEAST_ROOM) continue;
    const { x, y } = viewport.toScreen(shape.label.x, shape.label.y);
    if (x < -80 || y < -40 || x > viewport.width + 80 || y > viewport.height + 40) continue;
    const bitmap = bitmapOf(shape.section, room, palette);
    ctx.drawImage(
      bitmap,
      x - bitmap.width / SHARP / 2,
      y - bitmap.height / SHARP / 2,
      bitmap.width / SHARP,
      bitmap.height / SHARP,
    );
  }
}

function bitmapOf(section, room, palette) {
  const below = room > ROOM_FOR_TWO_LINES ? leftOf(section) : '';
  const size = room > ROOM_FOR_LARGE ? 13 : 10;
  const key = `${section.name}|${below}|${size}|${palette.paper}`;
  if (!bitmaps.has(key)) {
    if (bitmaps.size > 600) bitmaps.clear();
    bitmaps.set(
      key,
      write(
        [
          { text: section.name, font: `650 ${size * SHARP}px ${palette.font}` },
          below && { text: below, font: `${11 * SHARP}px ${palette.font}` },
        ].filter(Boolean),
        palette,
        size,
      ),
    );
  }
  return bitmaps.get(key);
}

const leftOf = (section) => (section.free > 0 ? t('map.left', { count: section.free }) : t('map.none_left'));

function write(lines, palette, size) {
  const canvas = document.createElement('canvas');
  const ctx = canvas.getContext('2d');
  const widths = lines.map(({ text, font }) => ((ctx.font = font), ctx.measureText(text).width));
  const pad = (size > 10 ? 7 : 2) * SHARP;
  const high = (size + 2) * SHARP;
  canvas.width = Math.ceil(Math.max(...widths) + pad * 2);
  canvas.height = high * lines.length + pad;
  ctx.fillStyle = palette.paper;
  ctx.globalAlpha = 0.88;
  ctx.beginPath();
  ctx.roundRect(0, 0, canvas.width, canvas.height, 6 * SHARP);
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.fillStyle = palette.label;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  lines.forEach(({ text, font }, index) => {
    ctx.font = font;
    ctx.fillText(text, canvas.width / 2, pad / 2 + high * (index + 0.5));
  });
  return canvas;
}
