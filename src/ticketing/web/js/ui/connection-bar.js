// The bar at the top of a page that reports a lost and a restored connection.

import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';
import { icon } from './icons.js';

const RESTORED_MS = 3000;
let shownState = null;

/** Shows the bar while the connection is lost, and for a moment after it is restored. */
export function showConnectionState(state) {
  const bar =
    document.querySelector('#connection') ??
    document.body.appendChild(
      el('div', { id: 'connection', role: 'status', dataset: { testid: 'connection-bar' }, hidden: true }),
    );
  const isChange = state === 'lost' || (state === 'live' && shownState === 'lost');
  if (!isChange) return;
  shownState = state;
  bar.hidden = false;
  bar.dataset.state = state;
  fill(bar, icon('signal'), t(`connection.${state}`));
  if (state === 'live') setTimeout(() => (bar.hidden = shownState === 'live'), RESTORED_MS);
}
