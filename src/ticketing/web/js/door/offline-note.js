// Says that codes cannot be checked: the browser is offline, or the server does not answer.

import { el, fill } from '../lib/dom.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';

/** Returns the element and `show(isOffline)`. `probe` is called when the browser has a network again. */
export function createOfflineNote(probe) {
  const note = el('p', { class: 'door-offline', role: 'alert', hidden: true, dataset: { testid: 'door-offline' } });
  const show = (isOffline) => {
    if (note.hidden !== isOffline) return;
    note.hidden = !isOffline;
    fill(note, isOffline && [icon('signal'), t('door.offline')]);
  };
  addEventListener('offline', () => show(true));
  addEventListener('online', probe);
  return { note, show };
}
