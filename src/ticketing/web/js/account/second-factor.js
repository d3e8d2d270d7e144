// The box on /me to enable and disable the second factor (TOTP): password, QR code, first code, recovery codes.

import { get, post, remove } from '../api/client.js';
import { el, fill, setText } from '../lib/dom.js';
import { showFieldErrors } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

/** The box is closed at first; its content is loaded when it is opened. */
export function secondFactorBox() {
  const body = el('div', { class: 'stack' });
  const box = el('details', { class: 'box', dataset: { testid: 'second-factor' } }, el('summary', {}, t('second.title')), body);
  box.addEventListener('toggle', () => box.open && draw(body).catch(() => (box.open = false)));
  return box;
}

async function draw(body) {
  const me = await get('/me');
  fill(body, ...(me.has_second_factor ? enabledContent(body) : disabledContent(body)));
}

const field = (key, attributes) => el('label', { class: 'field' }, el('span', {}, t(key)), el('input', attributes));

const passwordField = () =>
  field('login.password', { name: 'password', type: 'password', required: true, autocomplete: 'current-password' });

/** An input for a code of the authenticator app or a recovery code. */
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

/** A form whose button calls `work(values)`; a validation error is shown at its field. */
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
      setText(problem, showFieldErrors(node, error));
      problem.hidden = problem.textContent === '';
    } finally {
      go.disabled = false;
    }
  });
  return node;
}

function disabledContent(body) {
  const begin = async (values) => fill(body, ...setupContent(body, await post('/me/second-factor', values)));
  return [el('p', {}, t('second.explain')), form('second-begin', 'second.begin', begin, passwordField())];
}

function setupContent(body, { secret, otpauth_uri, qr_svg }) {
  const confirm = async (values) => fill(body, ...recoveryContent(body, await post('/me/second-factor/confirm', values)));
  return [
    el('p', {}, t('second.scan')),
    el('div', { class: 'qr' }, qrImage(qr_svg)),
    el('p', {}, t('second.type'), ' ', el('code', { dataset: { testid: 'second-secret' } }, secret)),
    el('p', {}, el('a', { href: otpauth_uri }, t('second.open'))),
    form('second-confirm', 'second.confirm', confirm, codeField('second.first_code')),
  ];
}

/** The QR code from the server as an element: parsed as XML, in which scripts do not run. */
function qrImage(svg) {
  const image = document.importNode(new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement, true);
  image.setAttribute('role', 'img');
  image.setAttribute('aria-label', t('second.picture'));
  return image;
}

function recoveryContent(body, { recovery_codes }) {
  const list = recovery_codes.map((code) => el('li', {}, el('code', { dataset: { testid: 'recovery-code' } }, code)));
  const finish = () => draw(body);
  return [
    el('p', { role: 'status' }, t('second.on_now')),
    el('ul', {}, list),
    el(
      'div',
      {},
      el('button', { type: 'button', class: 'button', dataset: { testid: 'second-kept' }, onclick: finish }, t('second.kept')),
    ),
  ];
}

function enabledContent(body) {
  const disable = async (values) => {
    await remove('/me/second-factor', values);
    showNotice(t('second.off_now'), { kind: 'good' });
    await draw(body);
  };
  return [el('p', {}, t('second.is_on')), form('second-disable', 'second.disable', disable, passwordField(), codeField())];
}
