// /login: the log-in form; afterwards redirects to the page given by `next`.

import { loginForm } from '../account/login-form.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function open(main) {
  const form = loginForm(() => location.assign(nextPath()));
  fill(main, el('section', { class: 'narrow stack' }, el('h1', {}, t('login.title')), form));
}

/** Only paths of this origin are accepted: `//host` and absolute URLs would make this an open redirect. */
function nextPath() {
  const url = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
  return url.origin === location.origin && url.pathname !== '/login' ? url.pathname + url.search : '/';
}
