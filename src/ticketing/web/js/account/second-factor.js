// The part of /me that switches the second factor on and off: password, picture, first code, recovery codes.

import { get, post, remove } from '../api/client.js';
import { el, fill } from '../lib/dom.js';
import { showFieldErrors } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

/** A closed box; what it can do is asked for when it is opened. */
export function secondFactorBox() {
  const body = el('div', { class: 'stack' });
  const box = el('details', { class: 'box', dataset: { testid: 'second-factor' } }, el('summary', {}, t('second.title')), body);
  box.addEventListener('toggle', () => box.open && draw(body).catch(() => (box.open = false)));
  return box;
}

async function draw(body) {
  const me = await get('/me');
  fill(body, ...(me.has_second_factor ? active(body) : absent(body)));
}

const field = (key, attributes) => el('label', { class: 'field' }, el('span', {}, t(key)), el('input', attributes));

const passwordField = () =>
  field('login.password', { name: 'password', type: 'password', required: true, autocomplete: 'current-password' });

/** What a person types: digits of the app, or a recovery code. */
export const codeField = (key = 'second.code') =>
  field(key, {
    name: 'code',
    required: true,
    autocomplete: 'one-time-code',
    autocapitalize: 'off',
    spellcheck: 'false',
    maxlength: 60,
    dataset: { testid: 'code' },
  });

/** A form whose button runs `work` with what was typed; a refusal stands beside its field. */
function form(testid, button, work, ...fields) {
  const problem = el('p', { class: 'form-error', role: 'alert', hidden: true });
  const go = el('button', { class: 'button', dataset: { testid: `${testid}-go` } }, t(button));
  const node = el('form', { class: 'stack', novalidate: true, dataset: { testid } }, fields, problem, el('div', {}, go));
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      await work(Object.fromEntries(new FormData(node)));
    } catch (error) {
      problem.textContent = showFieldErrors(node, error);
      problem.hidden = problem.textContent === '';
    } finally {
      go.disabled = false;
    }
  });
  return node;
}

function absent(body) {
  const begin = async (typed) => fill(body, ...pending(body, await post('/me/second-factor', typed)));
  return [el('p', {}, t('second.explain')), form('second-begin', 'second.begin', begin, passwordField())];
}

function pending(body, { secret, otpauth_uri, qr_svg }) {
  const confirm = async (typed) => fill(body, ...recovery(body, await post('/me/second-factor/confirm', typed)));
  return [
    el('p', {}, t('second.scan')),
    el('div', { class: 'qr' }, drawing(qr_svg)),
    el('p', {}, t('second.type'), ' ', el('code', { dataset: { testid: 'second-secret' } }, secret)),
    el('p', {}, el('a', { href: otpauth_uri }, t('second.open'))),
    form('second-confirm', 'second.confirm', confirm, codeField('second.first_code')),
  ];
}

/** The server's picture as an element: parsed as XML, where nothing runs and no style is needed. */
function drawing(svg) {
  const picture = document.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true);
  picture.setAttribute('role', 'img');
  picture.setAttribute('aria-label', t('second.picture'));
  return picture;
}

function recovery(body, { recovery_codes }) {
  const list = recovery_codes.map((code) => el('li', {}, el('code', { dataset: { testid: 'recovery-code' } }, code)));
  const kept = () => draw(body);
  return [
    el('p', { role: 'status' }, t('second.on_now')),
    el('ul', {}, list),
    el(
      'div',
      {},
      el('button', { type: 'button', class: 'button', dataset: { testid: 'second-kept' }, onclick: kept }, t('second.kept')),
    ),
  ];
}

function active(body) {
  const disable = async (typed) => {
    await remove('/me/second-factor', typed);
    showNotice(t('second.off_now'), { kind: 'good' });
    await draw(body);
  };
  return [el('p', {}, t('second.is_on')), form('second-disable', 'second.disable', disable, passwordField(), codeField())];
}
