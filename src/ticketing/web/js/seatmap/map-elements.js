// The DOM elements of the map: canvas, zoom buttons, mini-map, tooltip of a seat, and the legend of statuses.

import { el } from '../lib/dom.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';

/** Appends the elements to `host` and returns those that the map updates. */
export function buildMapElements(host, map) {
  const canvas = el('canvas', {
    class: 'map-canvas',
    'aria-hidden': 'true',
    dataset: { testid: 'seat-map', stream: 'connecting' },
  });
  const minimap = el('canvas', { class: 'minimap', 'aria-hidden': 'true', hidden: true });
  const button = (name, key, run) =>
    el(
      'button',
      { type: 'button', class: 'map-button', 'aria-label': t(key), title: t(key), dataset: { testid: key }, onclick: run },
      icon(name),
    );
  const middle = () => [map.viewport.width / 2, map.viewport.height / 2];
  const buttons = [
    button('plus', 'map.closer', () => map.viewport.animateZoom(...middle(), 1.8)),
    button('minus', 'map.further', () => map.viewport.animateZoom(...middle(), 1 / 1.8)),
    button('whole', 'map.whole', () => map.viewport.animateToFit()),
  ];
  const stage = el(
    'div',
    { class: 'map-stage', tabindex: 0, role: 'application', 'aria-label': t('map.title'), 'aria-describedby': 'map-help' },
    canvas,
  );
  const tip = el('div', { class: 'map-tip', role: 'status', hidden: true });
  host.append(
    stage,
    minimap,
    el('div', { class: 'map-buttons' }, buttons),
    tip,
    el('p', { id: 'map-help', class: 'sr' }, t('map.help')),
  );
  return { stage, canvas, minimap, tip, showZoom: (viewport) => showZoom(canvas, viewport) };
}

function showZoom(canvas, viewport) {
  const zoom = (viewport.scale / viewport.fitScale).toFixed(2);
  if (canvas.dataset.zoom !== zoom) canvas.dataset.zoom = zoom;
}

/** Shows the tooltip above the seat, or below it near the upper edge, within the sides of the map; hidden without lines. */
export function showTooltip(elements, lines, where) {
  const { tip, stage } = elements;
  tip.hidden = !lines;
  if (!lines) return;
  tip.replaceChildren(...lines.map((line, index) => el(index === 0 ? 'strong' : 'span', {}, line)));
  const half = tip.offsetWidth / 2 + 8;
  const isHigh = where.y < tip.offsetHeight + 28;
  tip.style.left = `${Math.min(Math.max(where.x, half), Math.max(half, stage.clientWidth - half))}px`;
  tip.style.top = `${where.y + (isHigh ? 22 : -22)}px`;
  tip.classList.toggle('below', isHigh);
}

/** The legend: each status by its shape, so that it does not depend on colour. */
export function statusLegend() {
  const entry = (name) => el('li', {}, el('span', { class: `chip chip-${name}`, 'aria-hidden': 'true' }), t(`state.${name}`));
  return el('ul', { class: 'state-key' }, ['available', 'mine', 'held', 'sold', 'blocked'].map(entry));
}
