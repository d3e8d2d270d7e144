// The colours of the map, read from the custom properties in tokens.css, which define the light and the dark theme.

const NAMES = {
  paper: '--map-paper',
  area: '--map-area',
  areaInk: '--map-area-ink',
  label: '--map-label',
  sold: '--seat-sold',
  soldInk: '--seat-sold-ink',
  held: '--seat-held',
  heldInk: '--seat-held-ink',
  blocked: '--seat-blocked',
  unknown: '--seat-unknown',
  mine: '--seat-mine',
  accent: '--accent',
  accentInk: '--accent-ink',
};
const CATEGORY_COLOURS = 6;
const DIM = 0.8;

export function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  const palette = Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, read(name)]));
  palette.font = read('--font');
  palette.categories = Array.from({ length: CATEGORY_COLOURS }, (_, index) => read(`--cat-${index + 1}`));
  palette.dimmed = palette.categories.map((colour) => mixColours(colour, palette.paper, DIM));
  palette.inks = palette.categories.map((colour) => (lightness(colour) > 0.36 ? '#14161c' : '#ffffff'));
  return palette;
}

export const categoryClass = (index) => `cat-${(index % CATEGORY_COLOURS) + 1}`;

function channels(hex) {
  const value = parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** An opaque mix of two colours: with transparency, an old status would show through when it is painted over. */
export function mixColours(from, to, share) {
  const [a, b] = [channels(from), channels(to)];
  return `rgb(${a.map((value, index) => Math.round(value + (b[index] - value) * share)).join(' ')})`;
}

function lightness(hex) {
  const [r, g, b] = channels(hex).map((value) => (value / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
