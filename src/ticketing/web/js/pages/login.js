// /login: the form on a page of its own; afterwards back to where one came from.

import { loginForm } from '../account/login-form.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function open(main) {
  const form = loginForm(() => location.assign(nextPath()));
  fill(main, el('section', { class: 'narrow stack' }, el('h1', {}, t('login.title')), form));
}

/** Only paths of this site: `//elsewhere` and full addresses would lead a logged-in person away. */
function nextPath() {
  const url = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
  return url.origin === location.origin && url.pathname !== '/login' ? url.pathname + url.search : '/';
}
