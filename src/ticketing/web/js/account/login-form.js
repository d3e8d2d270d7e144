// The form to log in or register, on its own page and in a dialog that opens where a log-in is required.

import { logIn } from '../api/client.js';
import { currentUser } from '../api/session.js';
import { el, fill, setText } from '../lib/dom.js';
import { clearFieldErrors, showFieldErrors } from '../ui/error-messages.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';
import { codeField } from './second-factor.js';

const MIN_PASSWORD_LENGTH = 10;

/** A form that calls `done(user)` after log-in or registration. */
export function loginForm(done, kind = 'login') {
  const form = el('form', { class: 'stack', dataset: { testid: 'login-form' }, novalidate: true });
  const draw = () => fill(form, ...fields(kind, (next) => ((kind = next), draw())));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit(form, kind, done);
  });
  draw();
  return form;
}

const labelled = (text, attributes, hint) =>
  el('label', { class: 'field' }, el('span', {}, text), el('input', attributes), hint && el('small', {}, hint));

function fields(kind, change) {
  const isNew = kind === 'register';
  return [
    isNew &&
      labelled(t('login.name'), {
        name: 'display_name',
        autocomplete: 'name',
        maxlength: 120,
        dataset: { testid: 'login-name' },
      }),
    labelled(t('login.email'), {
      name: 'email',
      type: 'email',
      required: true,
      autocomplete: 'email',
      dataset: { testid: 'login-email' },
    }),
    labelled(
      t('login.password'),
      {
        name: 'password',
        type: 'password',
        required: true,
        autocomplete: isNew ? 'new-password' : 'current-password',
        dataset: { testid: 'login-password' },
      },
      isNew && t('login.password_rule'),
    ),
    el('p', { class: 'form-error', role: 'alert', dataset: { testid: 'login-error' }, hidden: true }),
    el(
      'button',
      { class: 'button primary wide', dataset: { testid: 'login-submit' } },
      t(isNew ? 'login.register' : 'login.enter'),
    ),
    !isNew && el('a', { class: 'link', href: '/account/reset', dataset: { testid: 'login-forgotten' } }, t('login.forgotten')),
    el(
      'button',
      {
        type: 'button',
        class: 'link',
        dataset: { testid: 'register-toggle' },
        onclick: () => change(isNew ? 'login' : 'register'),
      },
      t(isNew ? 'login.have_account' : 'login.no_account'),
    ),
  ];
}

async function submit(form, kind, done) {
  const body = Object.fromEntries(new FormData(form));
  for (const name of ['display_name', 'code']) if (body[name] === '') delete body[name];
  const button = form.querySelector('[data-testid=login-submit]');
  const problem = form.querySelector('.form-error');
  clearFieldErrors(form);
  // Checked before the request, with a message of this page.
  if (kind === 'register' && [...body.password].length < MIN_PASSWORD_LENGTH) {
    const short = { field: 'password', message: t('login.password_short') };
    return showFieldErrors(form, { errors: [short] });
  }
  button.disabled = true;
  try {
    done(await logIn(kind, body));
  } catch (error) {
    if (error.code === 'second_factor_required') askForCode(form, problem);
    setText(problem, showFieldErrors(form, error));
    problem.hidden = problem.textContent === '';
  } finally {
    button.disabled = false;
  }
  return undefined;
}

/** Adds the field for the second factor; the rest of the form keeps its values. */
function askForCode(form, problem) {
  if (form.elements.namedItem('code')) return;
  const field = codeField();
  problem.before(field);
  field.querySelector('input').focus();
}

/** Resolves to the user, after a log-in dialog if there is no session; to null if the dialog is closed. */
export function ensureLogin(reason) {
  if (currentUser()) return Promise.resolve(currentUser());
  return new Promise((resolve) => {
    const dialog = el('dialog', { class: 'dialog', 'aria-label': t('login.title'), dataset: { testid: 'login-dialog' } });
    let user = null;
    const form = loginForm((loggedIn) => {
      user = loggedIn;
      dialog.close();
    });
    const close = el(
      'button',
      { type: 'button', class: 'icon-button', 'aria-label': t('close'), onclick: () => dialog.close() },
      icon('close'),
    );
    dialog.append(el('header', {}, el('h2', {}, t('login.title')), close), el('p', { class: 'muted' }, reason), form);
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(user);
    });
    document.body.append(dialog);
    dialog.showModal();
    form.elements.namedItem('email').focus();
  });
}
