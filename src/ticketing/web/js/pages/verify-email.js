// /account/verify#token: confirms an email address. Browsers do not send the fragment, so the token appears in no server
// log. Confirmation requires a click, because mail scanners open links too.

import { clearLinkToken, linkToken, outcomeView, submitForm } from '../account/email-link.js';
import { postAnonymously } from '../api/client.js';
import { currentUser } from '../api/session.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function open(main) {
  const token = linkToken();
  if (!token) return fill(main, outcomeView(t('verify.title'), t('account.no_link')));
  const form = submitForm(
    t('verify.button'),
    async () => {
      await postAnonymously('/auth/verify-email', { token });
      clearLinkToken();
      fill(main, outcomeView(t('verify.done_title'), t('verify.done'), !currentUser() && ['/login', t('account.login')]));
    },
    t('verify.again'),
  );
  const head = [el('h1', {}, t('verify.title')), el('p', { class: 'muted' }, t('verify.explain'))];
  return fill(main, el('section', { class: 'narrow stack' }, head, form));
}
