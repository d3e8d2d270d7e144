// /login: the form on a page of its own; afterwards back to where one came from.

import { el, fill } from '../dom.js';
import { loginForm } from '../login.js';
import { t } from '../words.js';

export function open(main) {
  const form = loginForm(() => location.assign(nextPath()));
  fill(main, el('section', { class: 'narrow stack' }, el('h1', {}, t('login.title')), form));
}

/** Only paths of this site: `//elsewhere` and full addresses would lead a logged-in person away. */
function nextPath() {
  const url = new URL(new URLSearchParams(location.search).get('next') ?? '/', location.origin);
  return url.origin === location.origin && url.pathname !== '/login' ? url.pathname + url.search : '/';
}
