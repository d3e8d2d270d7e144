// An order: its status, one card with a QR code per ticket, and the order lines.

import { formatLongDateTime } from '../lib/dates.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { downloadFile } from '../ui/file-download.js';
import '../ui/hold-countdown.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';
import { ticketCard } from './ticket-card.js';

/** Returns `{show(order, tickets)}`. Existing ticket cards are reused, so that QR codes do not flicker. */
export function orderView(host, { pay }) {
  const head = el('div', { class: 'stack' });
  const list = el('div', { class: 'tickets', dataset: { testid: 'tickets' } });
  const foot = el('div', { class: 'stack' });
  const cards = new Map();
  fill(host, head, list, foot);
  let shown = '';
  return {
    show(order, tickets) {
      const key = `${order.status} ${tickets.map((ticket) => ticket.id + ticket.status).join()}`;
      if (key === shown) return;
      shown = key;
      fill(head, orderHead(order, tickets), order.status === 'pending' && payAgainPart(order, pay));
      for (const ticket of tickets) if (!cards.has(ticket.id)) cards.set(ticket.id, ticketCard(ticket, order));
      list.replaceChildren(...tickets.map((ticket) => cards.get(ticket.id)));
      fill(
        foot,
        tickets.length > 0 && actions(order, tickets),
        orderLines(order),
        el('p', { class: 'muted small-text' }, t('order.refund_rules')),
      );
    },
  };
}

function orderHead(order, tickets) {
  const isReady = order.status === 'paid' && tickets.length > 0;
  const isGood = ['paid', 'partially_refunded'].includes(order.status);
  const text = order.status === 'paid' ? (isReady ? 'paid' : 'paid_waiting') : order.status;
  return el(
    'header',
    { class: `order-head is-${order.status}`, 'aria-live': 'polite' },
    el(
      'span',
      { class: 'order-mark', 'aria-hidden': 'true' },
      icon(isGood ? 'check' : order.status === 'pending' ? 'clock' : 'cross', 28),
    ),
    el('h1', { dataset: { testid: 'order-status', status: order.status } }, t(`order.title.${order.status}`)),
    el('p', { class: 'muted' }, t(`order.text.${text}`)),
    order.event &&
      el(
        'p',
        {},
        el('strong', {}, order.event.title),
        el('br'),
        joined([formatLongDateTime(order.event.starts_at, order.event.timezone), order.event.venue_name]),
      ),
    el(
      'p',
      { class: 'reference' },
      el('span', { class: 'muted' }, t('order.reference')),
      ' ',
      el('strong', { dataset: { testid: 'order-reference' } }, order.reference),
    ),
  );
}

const payAgainPart = (order, pay) =>
  el(
    'p',
    { class: 'pay-again' },
    order.expires_at && el('hold-countdown', { expires: order.expires_at }),
    el(
      'button',
      { type: 'button', class: 'button', dataset: { testid: 'pay-again' }, onclick: () => pay(order) },
      t('order.pay'),
    ),
  );

function actions(order, tickets) {
  const button = (name, key, run) =>
    el('button', { type: 'button', class: 'button', dataset: { testid: `order-${name}` }, onclick: run }, icon(name), t(key));
  return el(
    'div',
    { class: 'actions centred' },
    button('pdf', 'order.pdf', () => downloadFile(`/orders/${order.id}/tickets.pdf`, `tickets-${order.reference}.pdf`)),
    button('calendar', 'order.calendar', () =>
      downloadFile(`/tickets/${tickets[0].id}/calendar.ics`, `event-${order.reference}.ics`),
    ),
  );
}

function orderLines(order) {
  const line = (item) =>
    el(
      'li',
      {},
      el(
        'span',
        { class: 'grow' },
        joined([
          item.quantity > 1 ? t('held.times', { quantity: item.quantity, name: item.name }) : item.name,
          item.seat?.label ?? item.seat,
        ]),
      ),
      el('span', {}, formatMoney(item.price)),
    );
  return el(
    'section',
    { class: 'panel-part plain' },
    el('h2', {}, t('order.bought')),
    el('ul', { class: 'picked' }, (order.lines ?? []).map(line)),
    el('div', { class: 'total' }, el('span', { class: 'muted' }, t('total')), el('strong', {}, formatMoney(order.total))),
  );
}
