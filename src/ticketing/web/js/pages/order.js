// /o/{reference}: polls an order until it is paid and its tickets are issued, and shows them.

import { ensureLogin } from '../account/login-form.js';
import { ApiError, get, post, remove } from '../api/client.js';
import { announceHoldChange } from '../api/hold-changes.js';
import { currentUser } from '../api/session.js';
import { goTo } from '../lib/addresses.js';
import { el, fill, setText } from '../lib/dom.js';
import { knownOrder, usualReference } from '../order/known-orders.js';
import { orderView } from '../order/order-view.js';
import { errorMessage } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const FIRST_INTERVAL_MS = 900;
const LATER_INTERVAL_MS = 4000;
const FIRST_ATTEMPTS = 40;
const MAX_ATTEMPTS = 500;

export async function open(main, typed) {
  const reference = usualReference(typed);
  const host = el('section', { class: 'order narrow wide-narrow', dataset: { testid: 'order' } });
  const email = knownOrder(reference)?.email ?? currentUser()?.email ?? '';
  fill(main, host);
  const order = await find(reference, email);
  if (order) await follow(host, order, reference);
  else showEmailForm(host, reference);
}

/** By id if this tab knows it, else by reference and email address; null if neither finds it. */
async function find(reference, email) {
  const known = knownOrder(reference);
  if (known && currentUser()) {
    const order = await orNull(() => get(`/orders/${known.id}`));
    if (order) return order;
  }
  const byEmail =
    email &&
    (await orNull(() => get(`/orders/by-reference/${encodeURIComponent(reference)}?email=${encodeURIComponent(email)}`)));
  if (byEmail || !currentUser()) return byEmail || null;
  // The order may have another email address than the user's account.
  return ((await orNull(() => get('/me/orders?limit=100'))) ?? []).find((order) => order.reference === reference) ?? null;
}

/** Calls `load`; null if the order is not found or not accessible. */
async function orNull(load) {
  try {
    return await load();
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404, 422].includes(error.status)) return null;
    throw error;
  }
}

async function follow(host, order, reference) {
  const email = order.buyer?.email ?? knownOrder(reference)?.email ?? currentUser()?.email;
  const view = orderView(host, { pay, release });
  const venue = (await orNull(() => get(`/events/${order.event_id}`)).catch(() => null))?.venue ?? null;
  /** Returns whether the order is still in progress. */
  const show = async (current) => {
    const tickets = await ticketsOf(current);
    const isDeclined = current.status === 'pending' && (await isLastPaymentDeclined(current));
    view.show({ ...current, venue }, tickets, isDeclined);
    return isInProgress(current, tickets);
  };
  // The page is open once the order is shown; the polls follow.
  if (await show(order)) poll(order, show, () => reload(order, reference, email));
}

async function poll(order, show, load) {
  let { status } = order;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    await new Promise((resolve) => setTimeout(resolve, attempt < FIRST_ATTEMPTS ? FIRST_INTERVAL_MS : LATER_INTERVAL_MS));
    const current = await load();
    if (!current) continue;
    if (current.status !== status) announceHoldChange();
    status = current.status;
    if (!(await show(current))) return;
  }
}

const isInProgress = (order, tickets) =>
  order.status === 'pending' || (order.status === 'paid' && tickets.length < ticketCount(order));
const ticketCount = (order) => (order.lines ?? []).reduce((sum, line) => sum + (line.quantity ?? 1), 0) || 1;

async function reload(order, reference, email) {
  try {
    return currentUser() ? await get(`/orders/${order.id}`) : await find(reference, email);
  } catch {
    // The next poll follows shortly.
    return null;
  }
}

async function ticketsOf(order) {
  if (order.status === 'pending' || order.status === 'expired') return [];
  if (order.tickets?.length > 0) return order.tickets;
  if (!currentUser()) return [];
  return (await orNull(() => get(`/orders/${order.id}/tickets`)).catch(() => null)) ?? [];
}

/** Only the buyer who has logged in may see payments. */
async function isLastPaymentDeclined(order) {
  if (!currentUser()) return false;
  const payments = (await orNull(() => get(`/orders/${order.id}/payments`)).catch(() => null)) ?? [];
  return payments.at(-1)?.status === 'failed';
}

/** Gives the places back, which also cancels the order: the next poll shows it. */
async function release(order) {
  try {
    await remove(`/reservations/${order.reservation_id}`);
    announceHoldChange();
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
}

async function pay(order) {
  if (!(await ensureLogin(t('login.to_pay')))) return;
  try {
    const payment = await post('/payments', { order_id: order.id, provider: 'mock' });
    if (payment.checkout_url) goTo(payment.checkout_url);
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
}

function showEmailForm(host, reference) {
  const problem = el('p', { class: 'form-error', role: 'alert', hidden: true });
  const form = el(
    'form',
    { class: 'stack' },
    el('h1', {}, t('order.reference'), ' ', reference),
    el(
      'p',
      { class: 'muted' },
      t('order.explain'),
      ' ',
      el('a', { href: `/login?next=${encodeURIComponent(location.pathname)}` }, t('nav.login')),
    ),
    el(
      'label',
      { class: 'field' },
      el('span', {}, t('order.need_email')),
      el('input', { name: 'email', type: 'email', required: true, autocomplete: 'email', dataset: { testid: 'order-email' } }),
    ),
    problem,
    el('button', { class: 'button primary' }, t('order.find')),
  );
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      const order = await find(reference, form.elements.namedItem('email').value.trim());
      if (order) return await follow(host, order, reference);
      setText(problem, t('order.not_found'));
    } catch (error) {
      setText(problem, errorMessage(error));
    }
    problem.hidden = false;
    return undefined;
  });
  fill(host, form);
}
