// What a page shows while its data does not arrive: first that it waits, then that it failed, with Retry.

import { ApiError, onRepeat } from '../api/client.js';
import { el, fill, setText } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { errorMessage } from './error-messages.js';

const UNAVAILABLE_STATUSES = [502, 503, 504];

/** Says so while requests are repeated because the server does not answer. */
export function showWaiting(main) {
  const line = el('p', { class: 'page-status', role: 'status', dataset: { testid: 'waiting' } });
  main.before(line);
  onRepeat((isWaiting) => setText(line, isWaiting ? t('load.waiting') : ''));
}

/** Shows the error above `rendered`, the content from the server, with a button that calls `retry`. */
export function showLoadFailure(main, rendered, error, retry) {
  const button = el(
    'button',
    { type: 'button', class: 'button primary', dataset: { testid: 'retry' }, onclick: () => ((button.disabled = true), retry()) },
    t('load.retry'),
  );
  const box = el(
    'section',
    { class: 'load-failure stack', role: 'alert', dataset: { testid: 'load-failure' } },
    el('h2', {}, t('load.title')),
    el('p', {}, explanation(error)),
    el('p', {}, button),
  );
  fill(main, box, rendered);
}

function explanation(error) {
  if (!(error instanceof ApiError)) return t('load.page');
  if (error.status === 0) return t('load.offline');
  return UNAVAILABLE_STATUSES.includes(error.status) ? t('load.unavailable') : errorMessage(error);
}
