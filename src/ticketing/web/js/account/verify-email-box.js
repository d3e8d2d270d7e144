// The box on /me for users with an unconfirmed email address, with a button to send the email again.

import { post } from '../api/client.js';
import { el } from '../lib/dom.js';
import { errorMessage } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

/** The box for the response to `/me`, or null if the address is confirmed. */
export function verifyEmailBox(me) {
  if (me.email_verified) return null;
  const resend = async () => {
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
    el('div', {}, el('button', { type: 'button', class: 'button small', onclick: resend }, t('verify.send_again'))),
  );
}
