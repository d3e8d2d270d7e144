// A seating plan's file: a preview with its warnings, or all of its faults with their places, before it is saved.

import { post } from '../api/client.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { showTooltip } from '../seatmap/map-elements.js';
import { SeatMap } from '../seatmap/seat-map.js';
import { Seats } from '../seatmap/seats.js';
import { input, labelled, runWithNotice } from '../ui/form-controls.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const QUERY = { format: 'pretix' };
// A plan of 100,000 seats takes seconds to read.
const TIMEOUT_MS = 60_000;
// No JSON, too large, and JSON that is no plan.
const FAULTY = new Set([400, 413, 422]);

/**
 * The control for the file, with the preview below. `save` has the `label` of the button, the `path` below the
 * organization, `details()` for further parameters, and `done()`, which is called after the plan was saved.
 */
export function planImport(org, save) {
  const file = input('plan', { type: 'file', accept: '.json,application/json' });
  const shown = el('div', { class: 'stack', 'aria-live': 'polite', dataset: { testid: 'plan-preview' } });
  const send = (path, parameters) => {
    const query = new URLSearchParams({ ...QUERY, ...parameters });
    return post(`/orgs/${org.id}${path}?${query}`, file.files[0], { timeout: TIMEOUT_MS });
  };
  const savePlan = () =>
    runWithNotice(async () => {
      const venue = await send(save.path, save.details?.());
      file.value = '';
      fill(shown);
      showNotice(t('console.venue_created', venue), { kind: 'good' });
      await save.done();
    });
  const preview = async () => {
    fill(shown, el('p', { class: 'muted' }, t('plan.reading')));
    try {
      drawPreview(shown, await send('/venues/import/preview'), { ...save, run: savePlan });
    } catch (error) {
      if (FAULTY.has(error.status)) return drawFaults(shown, error);
      fill(shown);
      throw error;
    }
  };
  file.addEventListener('change', () => (file.files.length > 0 ? runWithNotice(preview) : fill(shown)));
  return el('div', { class: 'stack' }, labelled('console.venue_import', file), shown);
}

function drawPreview(shown, plan, save) {
  const count = ({ name, seats }) => el('li', {}, el('span', { class: 'grow' }, name), t('plan.seats', { count: seats }));
  const map = el('div', { class: 'map', dataset: { testid: 'plan-map' } });
  fill(
    shown,
    el('p', {}, el('strong', {}, plan.name), ' ', t('plan.counts', { count: plan.capacity, sections: plan.sections.length })),
    el('ul', { class: 'picked' }, plan.categories.map(count)),
    plan.warnings.length > 0 && places(t('plan.warnings'), plan.warnings, plan.more_warnings),
    map,
    el('div', {}, el('button', { type: 'button', class: 'button primary', dataset: { testid: 'plan-save' }, onclick: save.run }, save.label)),
  );
  if (plan.capacity > 0) drawMap(map, plan.layout);
  else map.remove();
}

function drawMap(host, layout) {
  const seats = new Seats(layout, []);
  seats.applySnapshot('a'.repeat(seats.count));
  const lines = ({ section, row, category }, number) => [
    t('seat.long', { section, row, seat: seats.seatName(number) }),
    category,
  ];
  const map = new SeatMap(host, seats, {
    toggle: () => {},
    point: (number, where) => showTooltip(map.elements, number < 0 ? null : lines(seats.list[number], number), where),
  });
}

function drawFaults(shown, error) {
  const [{ message, line, column, faults = [{ message, line, column }], more_faults = 0 }] = error.errors;
  fill(shown, el('div', { class: 'stack', role: 'alert' }, places(t('plan.faults'), faults, more_faults)));
}

function places(title, notes, more) {
  const item = ({ line, column, path, message }) =>
    el('li', {}, el('span', { class: 'muted' }, joined([line && t('plan.place', { line, column }), path])), ' ', message);
  return el(
    'div',
    { dataset: { testid: 'plan-notes' } },
    el('strong', {}, title),
    el('ul', { class: 'notes' }, notes.map(item), more > 0 && el('li', {}, t('plan.more', { count: more }))),
  );
}
