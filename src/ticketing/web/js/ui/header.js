// The navigation links in the header, which depend on the session.

import { logOut } from '../api/client.js';
import { currentUser, onSessionChange } from '../api/session.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function drawHeader() {
  const nav = document.querySelector('#account');
  const draw = () => fill(nav, ...(currentUser() ? userLinks() : anonymousLinks()));
  onSessionChange(draw);
  draw();
}

function link(href, text, testid) {
  const current = location.pathname === href ? 'page' : undefined;
  return el('a', { href, 'aria-current': current, dataset: { testid } }, text);
}

const anonymousLinks = () => [link(`/login?next=${encodeURIComponent(location.pathname)}`, t('nav.login'), 'nav-login')];

function userLinks() {
  const leave = async () => {
    await logOut();
    location.assign('/');
  };
  return [
    link('/me', t('nav.mine'), 'nav-me'),
    link('/console', t('nav.console'), 'nav-console'),
    el('button', { type: 'button', class: 'link', dataset: { testid: 'nav-logout' }, onclick: leave }, t('nav.logout')),
  ];
}
