// The bar at the top of a page that reports a lost and a restored connection.

import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { icon } from './icons.js';

let barText = null;

/** The quiet bar at the top while the connection is away; it says when it is back, then goes. */
export function showConnectionState(state) {
  const bar =
    document.querySelector('#connection') ??
    document.body.appendChild(
      el('div', { id: 'connection', role: 'status', dataset: { testid: 'connection-bar' }, hidden: true }),
    );
  const isNews = state === 'lost' || (state === 'live' && barText === 'lost');
  if (!isNews) return;
  barText = state;
  bar.hidden = false;
  bar.dataset.state = state;
  fill(bar, icon('signal'), t(`connection.${state}`));
  if (state === 'live') setTimeout(() => (bar.hidden = barText === 'live'), 3000);
}
