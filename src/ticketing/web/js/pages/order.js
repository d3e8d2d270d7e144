// /o/{reference}: polls an order until it is paid and its tickets are issued, and shows them.

import { ApiError, get, post } from '../api/client.js';
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
  const view = orderView(host, { pay });
  const venue = (await orNull(() => get(`/events/${order.event_id}`)).catch(() => null))?.venue ?? null;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const tickets = await ticketsOf(order);
    view.show({ ...order, venue }, tickets);
    if (!isInProgress(order, tickets)) return;
    await new Promise((resolve) => setTimeout(resolve, attempt < FIRST_ATTEMPTS ? FIRST_INTERVAL_MS : LATER_INTERVAL_MS));
    order = (await reload(order, reference, email)) ?? order;
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

async function pay(order) {
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
    el('h1', {}, reference),
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
