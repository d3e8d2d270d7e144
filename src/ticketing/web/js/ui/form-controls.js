// Form controls that the staff pages share, and error handling for their actions.

import { el } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { errorMessage } from './error-messages.js';
import { showNotice } from './notice.js';

export const input = (name, attributes = {}) => el('input', { name, ...attributes });
export const labelled = (key, control) => el('label', { class: 'field' }, el('span', {}, t(key)), control);
export const options = (pairs, chosen) => pairs.map(([value, text]) => el('option', { value, selected: value === chosen }, text));

/** Runs `work`; an error is shown as a notice, with the names of the fields that the server rejected. */
export async function runWithNotice(work) {
  try {
    await work();
  } catch (error) {
    const fields = (error.errors ?? []).filter((detail) => detail.field).map((detail) => `${detail.field}: ${detail.message}`);
    showNotice(fields.join(' ') || errorMessage(error), { kind: 'bad' });
  }
}
