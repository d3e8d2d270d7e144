// From a hold to the payment page: the order, then the payment. Every step can be taken again without buying twice.

import { get, post } from '../api/client.js';
import { tabStorage } from '../lib/storage.js';
import { rememberOrder } from '../order/known-orders.js';

const slot = (reservationId) => `ticketing.order.${reservationId}`;

/** Gives the address to go to next: the provider's page, or the order itself when there is nothing to pay. */
export async function startCheckout(reservation, buyer) {
  const order = await orderFor(reservation, buyer);
  const done = `/o/${encodeURIComponent(order.reference)}`;
  rememberOrder(order, buyer.email);
  if (order.status === 'paid' || order.total?.amount === 0) return done;
  const payment = await post('/payments', { order_id: order.id, provider: 'mock' });
  return safeAddress(payment.checkout_url) ?? done;
}

/** Somebody who comes back from the payment page has an order already: it is used again, not doubled. */
async function orderFor(reservation, buyer) {
  const known = tabStorage.get(slot(reservation.id));
  if (known) {
    const order = await get(`/orders/${known}`).catch(() => null);
    if (order && ['pending', 'paid'].includes(order.status)) return order;
  }
  const order = await post('/orders', { reservation_id: reservation.id, buyer }).catch((error) =>
    orderElsewhere(reservation, error),
  );
  tabStorage.set(slot(reservation.id), order.id);
  return order;
}

/** The order was made in another tab or browser of the same person: it is found again instead of refused. */
async function orderElsewhere(reservation, error) {
  if (error.code !== 'already_ordered') throw error;
  const mine = await get('/me/orders?limit=100');
  const order = mine.find((one) => one.reservation_id === reservation.id);
  if (!order) throw error;
  return order;
}

function safeAddress(text) {
  if (!text) return null;
  const url = new URL(text, location.href);
  return ['http:', 'https:'].includes(url.protocol) ? url.href : null;
}
