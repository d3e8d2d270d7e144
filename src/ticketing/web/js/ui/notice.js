// One notice (toast) at a time, in a live region. Errors and notices with actions stay until they are closed.

import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { icon } from './icons.js';

const VISIBLE_MS = 6000;
let timer = 0;

function region() {
  return (
    document.querySelector('#notices') ??
    document.body.appendChild(el('div', { id: 'notices', role: 'status', 'aria-live': 'polite' }))
  );
}

/** `kind` is good | warn | bad; `actions` are buttons under the text: [{label, run, testid?}]. */
export function showNotice(text, { kind = 'warn', title, actions = [], stays = kind === 'bad' || actions.length > 0 } = {}) {
  clearTimeout(timer);
  const buttons = actions.map(({ label, run, testid }) =>
    el(
      'button',
      {
        type: 'button',
        class: 'button small',
        dataset: { testid: testid ?? 'notice-action' },
        onclick: () => (closeNotice(), run()),
      },
      label,
    ),
  );
  const close = el(
    'button',
    { type: 'button', class: 'icon-button', 'aria-label': t('close'), onclick: closeNotice },
    icon('close'),
  );
  const body = el(
    'div',
    { class: 'notice-body' },
    title && el('strong', {}, title),
    el('p', {}, text),
    buttons.length > 0 && el('div', { class: 'actions' }, buttons),
  );
  fill(region(), el('div', { class: `notice ${kind}`, dataset: { testid: 'notice', kind } }, body, close));
  if (!stays) timer = setTimeout(closeNotice, VISIBLE_MS);
}

function closeNotice() {
  clearTimeout(timer);
  region().replaceChildren();
}
