// How many are inside, read every few seconds; a failed read also tells that codes cannot be checked.

import { ApiError, get } from '../api/client.js';
import { el, setText } from '../lib/dom.js';
import { trackLatest } from '../lib/latest.js';
import { t } from '../words/translate.js';
import { createOfflineNote } from './offline-note.js';

const REFRESH_MS = 5000;

/** `path()` is that of the event's check-ins, or null without an event. Returns the elements, `refresh` and `reset`. */
export function createStats(path) {
  const line = el('p', { class: 'muted centred', dataset: { testid: 'door-stats' } });
  const begin = trackLatest();
  const refresh = async () => {
    const isLatest = begin();
    if (!path()) return;
    let isOffline = false;
    try {
      const numbers = await get(`${path()}/stats`, { attempts: 1, timeout: REFRESH_MS });
      if (isLatest()) setText(line, statsText(numbers));
    } catch (error) {
      isOffline = error instanceof ApiError && error.isTransient;
    }
    if (isLatest()) offline.show(isOffline);
  };
  const offline = createOfflineNote(refresh);
  const reset = () => {
    setText(line, '');
    return refresh();
  };
  setInterval(refresh, REFRESH_MS);
  return { line, offline, refresh, reset };
}

const statsText = (numbers) => t('door.inside', { inside: numbers.checked_in ?? 0, issued: numbers.issued ?? 0 });
