// A pending order: until when its places are held, and the ways on. After a refused payment it says what happened.

import { el } from '../lib/dom.js';
import '../ui/hold-countdown.js';
import { listed, t } from '../words/translate.js';

/** `actions` are `pay(order)` and `release(order)`. */
export function paymentWays(order, isDeclined, { pay, release }) {
  const ways = isDeclined
    ? [
        button('order.pay_again', 'pay-again', 'button primary', () => pay(order)),
        button('order.pay_otherwise', 'pay-otherwise', 'button', () => pay(order)),
        button('order.let_go', 'let-go', 'button', () => release(order)),
      ]
    : [
        button('order.pay', 'pay-again', 'button primary', () => pay(order)),
        button('order.let_go', 'let-go', 'link', () => release(order)),
      ];
  const held = el('div', { class: 'stack' }, el('p', {}, t('order.still_held', { places: placesOf(order) })));
  const node = el('div', { class: 'pay-again', dataset: { testid: 'payment-ways' } }, held);
  if (order.expires_at) {
    const countdown = el('hold-countdown', { expires: order.expires_at });
    countdown.addEventListener('done', () => node.replaceChildren(el('p', { role: 'status' }, t('order.hold_over'))));
    node.append(countdown);
  }
  if (isDeclined) node.append(el('p', { class: 'muted' }, t('order.ways')));
  node.append(el('div', { class: 'actions centred' }, ways));
  return node;
}

const button = (key, testid, style, run) =>
  el('button', { type: 'button', class: style, dataset: { testid }, onclick: run }, t(key));

function placesOf(order) {
  const name = (line) =>
    line.seat ?? (line.quantity > 1 ? t('held.times', { quantity: line.quantity, name: line.name }) : line.name);
  return listed((order.lines ?? []).map(name));
}
