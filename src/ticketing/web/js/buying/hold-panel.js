// The panel while tickets are held: countdown, held tickets, the buyer's details, and the button to pay.

import { currentUser } from '../api/session.js';
import { goTo } from '../lib/addresses.js';
import { el, setText } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { clearFieldErrors, showFieldErrors } from '../ui/error-messages.js';
import '../ui/hold-countdown.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';
import { startCheckout } from './checkout.js';

/** Returns `{node, update}`. An update never touches the form, which the user may be filling in. */
export function holdPanel(store) {
  const head = countdownPart(store);
  return { node: el('div', { class: 'held' }, head.node, heldItems(store), checkoutForm(store)), update: head.update };
}

function countdownPart(store) {
  const countdown = el('hold-countdown', { total: store.event.hold_seconds ?? 300, expires: store.reservation.expires_at });
  const extend = el(
    'button',
    { type: 'button', class: 'button small', hidden: true, dataset: { testid: 'extend-button' }, onclick: () => store.extend() },
    t('held.extend'),
  );
  countdown.addEventListener('soon', () => (extend.hidden = !mayExtend(store.reservation)));
  countdown.addEventListener('done', () => store.expire());
  const update = () => {
    if (!store.reservation) return;
    extend.disabled = store.isBusy;
    if (!mayExtend(store.reservation)) extend.hidden = true;
    if (countdown.getAttribute('expires') !== store.reservation.expires_at)
      countdown.setAttribute('expires', store.reservation.expires_at);
  };
  const text = el('div', {}, el('h2', {}, t('held.title')), el('p', { class: 'muted' }, t('held.explain')), extend);
  return { node: el('section', { class: 'panel-part held-head', dataset: { testid: 'held' } }, countdown, text), update };
}

const mayExtend = (reservation) => Boolean(reservation) && (reservation.extensions_left ?? (reservation.wasExtended ? 0 : 1)) > 0;

function heldItems(store) {
  const names = new Map(store.event.ticket_types.map((type) => [type.id, type.name]));
  const nameOf = (item) => {
    const label = item.seat?.label ?? item.seat;
    const number = label && store.seats?.byLabel.get(label);
    return number === undefined || !label ? (label ?? names.get(item.ticket_type_id) ?? '') : store.nameOf(number);
  };
  const row = (item) =>
    el(
      'li',
      { dataset: { testid: 'held-item', seat: item.seat?.label ?? item.seat ?? '' } },
      icon('check', 18),
      el(
        'span',
        { class: 'grow' },
        item.quantity > 1 ? t('held.times', { quantity: item.quantity, name: nameOf(item) }) : nameOf(item),
      ),
      el('span', {}, formatMoney(item.price)),
    );
  return el(
    'section',
    { class: 'panel-part' },
    el('ul', { class: 'picked' }, store.reservation.items.map(row)),
    el(
      'div',
      { class: 'total' },
      el('span', { class: 'muted' }, t('total')),
      el('strong', { dataset: { testid: 'total' } }, formatMoney(store.reservation.total)),
    ),
    el(
      'button',
      { type: 'button', class: 'link', dataset: { testid: 'release-button' }, onclick: () => store.release() },
      t('held.release'),
    ),
  );
}

function checkoutForm(store) {
  const user = currentUser();
  const { total } = store.reservation;
  const field = (name, type, value, complete) =>
    el(
      'label',
      { class: 'field' },
      el('span', {}, t(`checkout.${name}`)),
      el('input', {
        name,
        type,
        value: value ?? '',
        required: true,
        autocomplete: complete,
        maxlength: 254,
        dataset: { testid: `checkout-${name}` },
      }),
    );
  const problem = el('p', { class: 'form-error', role: 'alert', hidden: true });
  const button = el(
    'button',
    { class: 'button primary wide', dataset: { testid: 'pay-button' } },
    total?.amount === 0 ? t('checkout.free') : t('checkout.pay', { total: formatMoney(total) }),
  );
  const form = el(
    'form',
    { class: 'panel-part stack', dataset: { testid: 'checkout' } },
    el('h2', {}, t('checkout.title')),
    field('name', 'text', user?.display_name, 'name'),
    field('email', 'email', user?.email, 'email'),
    el('p', { class: 'muted small-text' }, t('checkout.explain')),
    problem,
    button,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    submit(store, form, button, problem);
  });
  return form;
}

async function submit(store, form, button, problem) {
  const { name, email } = Object.fromEntries(new FormData(form));
  clearFieldErrors(form);
  problem.hidden = true;
  button.disabled = true;
  const label = button.textContent;
  setText(button, t('checkout.busy'));
  try {
    goTo(await startCheckout(store.reservation, { email: email.trim(), name: name.trim() }));
  } catch (error) {
    setText(problem, showFieldErrors(form, error));
    problem.hidden = problem.textContent === '';
    button.disabled = false;
    setText(button, label);
    if (error.code === 'reservation_expired') store.expire();
  }
}
