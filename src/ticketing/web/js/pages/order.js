// /o/{reference}: follows an order until it is paid and its tickets are there, then shows them for the door.

import { ApiError, get, post } from '../api/client.js';
import { currentUser } from '../api/session.js';
import { el, fill } from '../lib/dom.js';
import { knownOrder } from '../order/known-orders.js';
import { orderView } from '../order/order-view.js';
import { errorMessage } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const QUICK_MS = 900;
const SLOW_MS = 4000;
const QUICK_TRIES = 40;
const LAST_TRY = 500;

export async function open(main, reference) {
  const host = el('section', { class: 'order narrow wide-narrow', dataset: { testid: 'order' } });
  const email = knownOrder(reference)?.email ?? currentUser()?.email ?? '';
  fill(main, host);
  const order = await find(reference, email);
  if (order) await follow(host, order, reference);
  else askEmail(host, reference);
}

/** By id when this browser bought it or owns it, else by reference and e-mail; null when neither finds it. */
async function find(reference, email) {
  const known = knownOrder(reference);
  if (known && currentUser()) {
    const order = await quietly(() => get(`/orders/${known.id}`));
    if (order) return order;
  }
  const byMail =
    email &&
    (await quietly(() => get(`/orders/by-reference/${encodeURIComponent(reference)}?email=${encodeURIComponent(email)}`)));
  if (byMail || !currentUser()) return byMail || null;
  // Somebody logged in may have given another e-mail address for the tickets than that of the account.
  return ((await quietly(() => get('/me/orders?limit=100'))) ?? []).find((order) => order.reference === reference) ?? null;
}

async function quietly(ask) {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ApiError && [401, 403, 404, 422].includes(error.status)) return null;
    throw error;
  }
}

async function follow(host, order, reference) {
  const email = order.buyer?.email ?? knownOrder(reference)?.email ?? currentUser()?.email;
  const view = orderView(host, { pay });
  const venue = (await quietly(() => get(`/events/${order.event_id}`)).catch(() => null))?.venue ?? null;
  for (let attempt = 0; attempt < LAST_TRY; attempt += 1) {
    const tickets = await ticketsOf(order);
    view.show({ ...order, venue }, tickets);
    if (!isMoving(order, tickets)) return;
    await new Promise((resolve) => setTimeout(resolve, attempt < QUICK_TRIES ? QUICK_MS : SLOW_MS));
    order = (await again(order, reference, email)) ?? order;
  }
}

const isMoving = (order, tickets) =>
  order.status === 'pending' || (order.status === 'paid' && tickets.length < ticketCount(order));
const ticketCount = (order) => (order.lines ?? []).reduce((sum, line) => sum + (line.quantity ?? 1), 0) || 1;

async function again(order, reference, email) {
  try {
    return currentUser() ? await get(`/orders/${order.id}`) : await find(reference, email);
  } catch {
    // A missed look is no news: the next one is a second away.
    return null;
  }
}

async function ticketsOf(order) {
  if (order.status === 'pending' || order.status === 'expired') return [];
  if (order.tickets?.length > 0) return order.tickets;
  if (!currentUser()) return [];
  return (await quietly(() => get(`/orders/${order.id}/tickets`)).catch(() => null)) ?? [];
}

async function pay(order) {
  try {
    const payment = await post('/payments', { order_id: order.id, provider: 'mock' });
    if (payment.checkout_url) location.assign(payment.checkout_url);
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
}

function askEmail(host, reference) {
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
      problem.textContent = t('order.not_found');
    } catch (error) {
      problem.textContent = errorMessage(error);
    }
    problem.hidden = false;
    return undefined;
  });
  fill(host, form);
}
