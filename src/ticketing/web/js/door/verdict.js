// Shows the result of the last code, large enough to read at arm's length, and the results of the codes before it.

import { el, fill } from '../lib/dom.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';

const SHOWN_CHARACTERS = 8;
const ICONS = { good: 'check', checking: 'clock' };

/** Returns the elements and `show(scans)`; see scans.js. */
export function createVerdict() {
  const current = el('div', {
    class: 'door-result',
    role: 'status',
    'aria-live': 'assertive',
    dataset: { testid: 'check-result', result: '' },
  });
  const earlier = el('ul', { class: 'door-earlier', 'aria-live': 'polite', dataset: { testid: 'earlier-scans' } });
  const show = ([last, ...before]) => {
    showLast(current, last);
    fill(earlier, before.map(line));
  };
  return { current, earlier, show };
}

function showLast(host, scan) {
  const { kind, result, title, text } = scan ? outcome(scan) : { kind: '', result: '' };
  host.className = `door-result ${kind}`;
  host.dataset.result = result;
  fill(
    host,
    scan && [
      icon(ICONS[kind] ?? 'cross', 56),
      el('h2', {}, title),
      text && el('p', {}, text),
      el('p', { class: 'door-code', dataset: { testid: 'checked-code' } }, codeLabel(scan)),
    ],
  );
}

function line(scan) {
  const { kind, result, title } = outcome(scan);
  return el('li', { class: kind, dataset: { result } }, icon(ICONS[kind] ?? 'cross'), el('span', {}, codeLabel(scan)), title);
}

const outcome = (scan) => scan.result ?? { kind: 'checking', result: 'checking', title: t('door.checking') };

/** The end of the code tells tickets apart: all codes begin alike. */
function codeLabel({ code }) {
  return t('door.code_shown', { code: code.length > SHOWN_CHARACTERS ? `…${code.slice(-SHOWN_CHARACTERS)}` : code });
}
