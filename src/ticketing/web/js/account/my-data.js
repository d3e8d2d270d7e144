// The box on /me to export personal data and to delete the account.

import { get, post } from '../api/client.js';
import { endSession } from '../api/session.js';
import { el, fill, setText } from '../lib/dom.js';
import { showFieldErrors } from '../ui/error-messages.js';
import { downloadFile } from '../ui/file-download.js';
import { t } from '../words/translate.js';
import { codeField } from './second-factor.js';

const FILE_NAME = 'my-data.json';

/** The box is closed at first, against accidental deletion; its content is loaded when it is opened. */
export function myDataBox() {
  const body = el('div', { class: 'stack' });
  const box = el('details', { class: 'box', dataset: { testid: 'my-data' } }, el('summary', {}, t('data.title')), body);
  box.addEventListener('toggle', () => box.open && draw(body).catch(() => (box.open = false)));
  return box;
}

async function draw(body) {
  const me = await get('/me');
  fill(body, exportPart(), el('h3', {}, t('data.erase_title')), el('p', {}, t('data.erase_explain')), eraseForm(me));
}

function exportPart() {
  const save = () => downloadFile('/me/export', FILE_NAME);
  const attributes = { type: 'button', class: 'button', dataset: { testid: 'export' }, onclick: save };
  return el('div', {}, el('p', {}, t('data.export_explain')), el('button', attributes, t('data.export')));
}

function eraseForm(me) {
  const problem = el('p', { class: 'form-error', role: 'alert', hidden: true, dataset: { testid: 'erase-error' } });
  const button = el('button', { class: 'button danger', dataset: { testid: 'erase-go' } }, t('data.erase'));
  const form = el(
    'form',
    { class: 'stack', novalidate: true, dataset: { testid: 'erase' } },
    passwordField(),
    me.has_second_factor && codeField(),
    ticketsField(),
    problem,
    el('div', {}, button),
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    erase(form, button, problem);
  });
  return form;
}

function passwordField() {
  const input = el('input', {
    name: 'password',
    type: 'password',
    required: true,
    autocomplete: 'current-password',
    dataset: { testid: 'erase-password' },
  });
  return el('label', { class: 'field' }, el('span', {}, t('login.password')), input);
}

function ticketsField() {
  const input = el('input', { name: 'give_up_tickets', type: 'checkbox', dataset: { testid: 'erase-tickets' } });
  return el('label', { class: 'check' }, input, ' ', t('data.give_up_tickets'));
}

async function erase(form, button, problem) {
  const { give_up_tickets, ...body } = Object.fromEntries(new FormData(form));
  button.disabled = true;
  try {
    await post('/me/erase', { ...body, give_up_tickets: give_up_tickets === 'on' });
    endSession();
    location.assign('/');
  } catch (error) {
    setText(problem, showFieldErrors(form, error));
    problem.hidden = problem.textContent === '';
  } finally {
    button.disabled = false;
  }
}
