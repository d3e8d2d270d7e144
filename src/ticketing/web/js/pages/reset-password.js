// /account/reset: requests an email with a link; /account/reset#token, the target of the link, sets a new password.

import { clearLinkToken, linkToken, outcomeView, submitForm } from '../account/email-link.js';
import { postAnonymously } from '../api/client.js';
import { endSession } from '../api/session.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function open(main) {
  // If the link is opened in the tab that requested it, only the fragment changes and the page is not reloaded.
  addEventListener('hashchange', () => open(main), { once: true });
  const token = linkToken();
  return token ? showPasswordForm(main, token) : showRequestForm(main);
}

function showRequestForm(main) {
  const email = { name: 'email', type: 'email', required: true, autocomplete: 'email', dataset: { testid: 'reset-email' } };
  const form = submitForm(t('reset.ask'), async (body) => {
    await postAnonymously('/auth/password-reset', { email: body.email });
    fill(main, outcomeView(t('reset.asked_title'), t('reset.asked')));
  });
  form.prepend(labelled(t('login.email'), email));
  show(main, t('reset.ask_title'), t('reset.ask_explain'), form);
}

function showPasswordForm(main, token) {
  const password = {
    name: 'password',
    type: 'password',
    required: true,
    autocomplete: 'new-password',
    dataset: { testid: 'reset-password' },
  };
  const newLink = el('a', { href: '/account/reset' }, t('reset.again'));
  const form = submitForm(
    t('reset.save'),
    async (body) => {
      await postAnonymously('/auth/password-reset/confirm', { token, password: body.password });
      clearLinkToken();
      endSession();
      fill(main, outcomeView(t('reset.done_title'), t('reset.done'), ['/login', t('account.login')]));
    },
    newLink,
  );
  form.prepend(labelled(t('reset.password'), password, t('login.password_rule')));
  show(main, t('reset.title'), t('reset.explain'), form);
}

const labelled = (text, attributes, hint) =>
  el('label', { class: 'field' }, el('span', {}, text), el('input', attributes), hint && el('small', {}, hint));

function show(main, title, explanation, form) {
  const head = [el('h1', {}, title), el('p', { class: 'muted' }, explanation)];
  fill(main, el('section', { class: 'narrow stack' }, head, form));
}
