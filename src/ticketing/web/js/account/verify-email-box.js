// On "My tickets", for whoever has not confirmed their address: where to look, and a way to another letter.

import { get, post } from '../api/client.js';
import { el } from '../lib/dom.js';
import { errorMessage } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

/** A box, or null when there is nothing to confirm. */
export async function verifyEmailBox() {
  const me = await get('/me').catch(() => null);
  if (!me || me.email_verified) return null;
  const again = async () => {
    try {
      await post('/me/verify-email');
      showNotice(t('verify.sent'), { kind: 'good' });
    } catch (error) {
      showNotice(errorMessage(error), { kind: 'warn' });
    }
  };
  return el(
    'aside',
    { class: 'box', dataset: { testid: 'verify-hint' } },
    el('p', {}, t('verify.wanted')),
    el('div', {}, el('button', { type: 'button', class: 'button small', onclick: again }, t('verify.send_again'))),
  );
}
