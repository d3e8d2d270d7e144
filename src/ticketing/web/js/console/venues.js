// The form for a new venue: sections of equal rows, or an imported seating plan.

import { post } from '../api/client.js';
import { ownZone } from '../lib/dates.js';
import { el } from '../lib/dom.js';
import { input, labelled, runWithNotice } from '../ui/form-controls.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';
import { planImport } from './plan-import.js';

const MAX_ROWS = 500;
const MAX_SEATS_PER_ROW = 1000;

export function newVenueBox(org, done) {
  const lines = el('div', { class: 'stack' }, sectionLine());
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
    planImport(org, { label: t('console.venue_create'), path: '/venues/import', details: () => venueDetails(read(form)), done }),
  );
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    runWithNotice(() => createVenue(org, form, lines, done));
  });
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

const read = (form) => Object.fromEntries(new FormData(form));
const venueDetails = ({ name, city, timezone }) => ({ ...(name && { name }), ...(city && { city }), timezone });

async function createVenue(org, form, lines, done) {
  const sections = [...lines.children].map(readSection).filter((section) => section.name);
  const venue = await post(`/orgs/${org.id}/venues`, { ...venueDetails(read(form)), sections });
  showNotice(t('console.venue_created', venue), { kind: 'good' });
  form.reset();
  await done();
}
