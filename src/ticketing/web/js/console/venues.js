// The form for a new venue: sections of equal rows, or an imported seating plan.

import { post } from '../api/client.js';
import { ownZone } from '../lib/dates.js';
import { el } from '../lib/dom.js';
import { input, labelled, runWithNotice } from '../ui/form-controls.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const MAX_ROWS = 500;
const MAX_SEATS_PER_ROW = 1000;

export function newVenueBox(org, done) {
  const lines = el('div', { class: 'stack' }, sectionLine());
  const file = input('plan', { type: 'file', accept: '.json,application/json' });
  const form = el(
    'form',
    { class: 'stack', dataset: { testid: 'venue-form' } },
    el(
      'div',
      { class: 'form-grid' },
      labelled('console.venue_name', input('name', { required: true, maxlength: 200 })),
      labelled('console.city', input('city', { maxlength: 200 })),
      labelled('console.timezone', input('timezone', { value: ownZone(), required: true })),
    ),
    lines,
    el(
      'div',
      { class: 'actions' },
      el('button', { type: 'button', class: 'button', onclick: () => lines.append(sectionLine()) }, t('console.section_add')),
      el('button', { class: 'button primary' }, t('console.venue_create')),
    ),
    labelled('console.venue_import', file),
  );
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    runWithNotice(() => createVenue(org, form, lines, done));
  });
  file.addEventListener('change', () => runWithNotice(() => importVenue(org, form, file, done)));
  return el('details', { class: 'box' }, el('summary', {}, t('console.new_venue')), form);
}

function sectionLine() {
  const line = el(
    'div',
    { class: 'form-line' },
    labelled('console.section', input('section', { maxlength: 50 })),
    labelled('console.rows', input('rows', { type: 'number', min: 1, max: MAX_ROWS, value: 10 })),
    labelled('console.category', input('category', { maxlength: 50 })),
    labelled('console.seats_per_row', input('seats', { type: 'number', min: 1, max: MAX_SEATS_PER_ROW, value: 20 })),
  );
  return line;
}

/** Default names of rows: A, B, … Z, AA, AB, … */
function rowName(index) {
  const letter = String.fromCharCode(65 + (index % 26));
  return index < 26 ? letter : rowName(Math.floor(index / 26) - 1) + letter;
}

function readSection(line) {
  const value = (name) => line.querySelector(`[name=${name}]`).value.trim();
  const rows = Array.from({ length: Number(value('rows')) }, (_, index) => ({
    name: rowName(index),
    seats: Number(value('seats')),
  }));
  return { name: value('section'), category: value('category') || value('section'), rows };
}

const venueDetails = ({ name, city, timezone }) => ({ ...(name && { name }), ...(city && { city }), timezone });

async function createVenue(org, form, lines, done) {
  const sections = [...lines.children].map(readSection).filter((section) => section.name);
  announce(await post(`/orgs/${org.id}/venues`, { ...venueDetails(Object.fromEntries(new FormData(form))), sections }));
  form.reset();
  await done();
}

/** Sends the file as it is: the server reads every encoding, and names the line of a fault. */
async function importVenue(org, form, file, done) {
  const query = new URLSearchParams({ format: 'pretix', ...venueDetails(Object.fromEntries(new FormData(form))) });
  const [plan] = file.files;
  file.value = '';
  announce(await post(`/orgs/${org.id}/venues/import?${query}`, plan));
  await done();
}

const announce = (venue) => showNotice(t('console.venue_created', venue), { kind: 'good' });
