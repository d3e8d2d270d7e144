// A part of the console that is loaded each time it is opened.

import { el } from '../lib/dom.js';
import { runWithNotice } from '../ui/form-controls.js';
import { t } from '../words/translate.js';

/** `draw(body)` fills the part. */
export function loadedDetails(key, testid, draw) {
  const body = el('div', { class: 'stack' });
  const details = el('details', { class: 'prices-edit', dataset: { testid } }, el('summary', { class: 'link' }, t(key)), body);
  details.addEventListener('toggle', () => details.open && runWithNotice(() => draw(body)));
  return details;
}
