// Small pieces that the organizer's forms share, and one way to run what they do.

import { el } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { errorMessage } from './error-messages.js';
import { showNotice } from './notice.js';

export const input = (name, attributes = {}) => el('input', { name, ...attributes });
export const labelled = (key, control) => el('label', { class: 'field' }, el('span', {}, t(key)), control);
export const options = (pairs, chosen) => pairs.map(([value, text]) => el('option', { value, selected: value === chosen }, text));

/** Runs `work` and says what went wrong, with the names of the fields that the server found wanting. */
export async function runWithNotice(work) {
  try {
    await work();
  } catch (error) {
    const fields = (error.errors ?? []).filter((one) => one.field).map((one) => `${one.field}: ${one.message}`);
    showNotice(fields.join(' ') || errorMessage(error), { kind: 'bad' });
  }
}
