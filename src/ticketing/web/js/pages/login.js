// /login: the log-in form; afterwards redirects to the page given by `next`.

import { loginForm } from '../account/login-form.js';
import { goTo, ownAddress } from '../lib/addresses.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function open(main) {
  const form = loginForm(() => goTo(nextPage()));
  fill(main, el('section', { class: 'narrow stack' }, el('h1', {}, t('login.title')), el('p', { class: 'muted' }, t('login.explain')), form));
}

/** The page of this site that `next` names; the home page instead of this page. */
function nextPage() {
  const next = ownAddress(new URLSearchParams(location.search).get('next'));
  return new URL(next).pathname === '/login' ? '/' : next;
}
