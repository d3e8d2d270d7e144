// Draws the name and availability of each section, where there is room. A label is drawn once into a bitmap and then
// copied: text is the most expensive thing to draw on the map.

import { fillText } from '../lib/directions.js';
import { t } from '../words/translate.js';

const bitmaps = new Map();
const PIXEL_RATIO = 2;
const MIN_ROOM = 20;
const ROOM_FOR_LARGE = 32;
const ROOM_FOR_TWO_LINES = 46;

export function drawSectionLabels(ctx, shapes, viewport, palette) {
  for (const shape of shapes) {
    const room = shape.room * viewport.scale;
    if (room < MIN_ROOM) continue;
    const { x, y } = viewport.toScreen(shape.label.x, shape.label.y);
    if (x < -80 || y < -40 || x > viewport.width + 80 || y > viewport.height + 40) continue;
    const bitmap = bitmapOf(shape.section, room, palette);
    ctx.drawImage(
      bitmap,
      x - bitmap.width / PIXEL_RATIO / 2,
      y - bitmap.height / PIXEL_RATIO / 2,
      bitmap.width / PIXEL_RATIO,
      bitmap.height / PIXEL_RATIO,
    );
  }
}

function bitmapOf(section, room, palette) {
  const below = room > ROOM_FOR_TWO_LINES ? availabilityText(section) : '';
  const size = room > ROOM_FOR_LARGE ? 13 : 10;
  const key = `${section.name}|${below}|${size}|${palette.paper}`;
  if (!bitmaps.has(key)) {
    if (bitmaps.size > 600) bitmaps.clear();
    bitmaps.set(
      key,
      drawLabel(
        [
          { text: section.name, font: `650 ${size * PIXEL_RATIO}px ${palette.font}` },
          below && { text: below, font: `${11 * PIXEL_RATIO}px ${palette.font}` },
        ].filter(Boolean),
        palette,
        size,
      ),
    );
  }
  return bitmaps.get(key);
}

const availabilityText = (section) => (section.free > 0 ? t('map.left', { count: section.free }) : t('map.none_left'));

function drawLabel(lines, palette, size) {
  const canvas = document.createElement('canvas');
  const ctx = canvas.getContext('2d');
  const widths = lines.map(({ text, font }) => ((ctx.font = font), ctx.measureText(text).width));
  const pad = (size > 10 ? 7 : 2) * PIXEL_RATIO;
  const high = (size + 2) * PIXEL_RATIO;
  canvas.width = Math.ceil(Math.max(...widths) + pad * 2);
  canvas.height = high * lines.length + pad;
  ctx.fillStyle = palette.paper;
  ctx.globalAlpha = 0.88;
  ctx.beginPath();
  ctx.roundRect(0, 0, canvas.width, canvas.height, 6 * PIXEL_RATIO);
  ctx.fill();
  ctx.globalAlpha = 1;
  ctx.fillStyle = palette.label;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  lines.forEach(({ text, font }, index) => {
    ctx.font = font;
    fillText(ctx, text, canvas.width / 2, pad / 2 + high * (index + 0.5));
  });
  return canvas;
}
