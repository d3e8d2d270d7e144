// From a hold to the payment page: creates the order, then the payment. Every step can be repeated without buying twice.

import { get, post } from '../api/client.js';
import { tabStorage } from '../lib/storage.js';
import { rememberOrder } from '../order/known-orders.js';

const orderSlot = (reservationId) => `ticketing.order.${reservationId}`;

/** Returns the URL to go to next: the provider's payment page, or the order page if there is nothing to pay. */
export async function startCheckout(reservation, buyer) {
  const order = await orderFor(reservation, buyer);
  const orderPage = `/o/${encodeURIComponent(order.reference)}`;
  rememberOrder(order, buyer.email);
  if (order.status === 'paid' || order.total?.amount === 0) return orderPage;
  const payment = await post('/payments', { order_id: order.id, provider: 'mock' });
  return payment.checkout_url || orderPage;
}

/** Reuses the order of this hold if there is one, for example after a return from the payment page. */
async function orderFor(reservation, buyer) {
  const knownId = tabStorage.get(orderSlot(reservation.id));
  if (knownId) {
    const order = await get(`/orders/${knownId}`).catch(() => null);
    if (order && ['pending', 'paid'].includes(order.status)) return order;
  }
  const order = await post('/orders', { reservation_id: reservation.id, buyer }).catch((error) =>
    existingOrder(reservation, error),
  );
  tabStorage.set(orderSlot(reservation.id), order.id);
  return order;
}

/** Finds the order of this hold if it was created in another tab or browser of the same user. */
async function existingOrder(reservation, error) {
  if (error.code !== 'already_ordered') throw error;
  const orders = await get('/me/orders?limit=100');
  const order = orders.find((candidate) => candidate.reservation_id === reservation.id);
  if (!order) throw error;
  return order;
}
