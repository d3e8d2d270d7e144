// An order: its status, one card with a QR code per ticket, and the order lines.

import { formatLongDateTime } from '../lib/dates.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { downloadFile } from '../ui/file-download.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';
import { paymentWays } from './payment-ways.js';
import { ticketCard } from './ticket-card.js';

/**
 * Returns `{show(order, tickets, isDeclined)}`: `isDeclined` is whether its last payment was refused. Existing ticket
 * cards are reused, so that QR codes do not flicker. `actions` are those of a pending order.
 */
export function orderView(host, actions) {
  const head = el('div', { class: 'stack' });
  const list = el('div', { class: 'tickets', dataset: { testid: 'tickets' } });
  const foot = el('div', { class: 'stack' });
  const cards = new Map();
  fill(host, head, list, foot);
  let shown = '';
  return {
    show(order, tickets, isDeclined = false) {
      const key = `${order.status} ${isDeclined} ${order.expires_at} ${tickets.map((ticket) => ticket.id + ticket.status).join()}`;
      if (key === shown) return;
      shown = key;
      fill(
        head,
        orderHead(order, tickets, isDeclined),
        order.status === 'pending' && paymentWays(order, isDeclined, actions),
        ['expired', 'cancelled'].includes(order.status) && chooseAgain(order),
      );
      for (const ticket of tickets) if (!cards.has(ticket.id)) cards.set(ticket.id, ticketCard(ticket, order));
      list.replaceChildren(...tickets.map((ticket) => cards.get(ticket.id)));
      fill(
        foot,
        tickets.length > 0 && files(order, tickets),
        orderLines(order),
        el('p', { class: 'muted small-text' }, t('order.refund_rules')),
      );
    },
  };
}

function orderHead(order, tickets, isDeclined) {
  const isReady = order.status === 'paid' && tickets.length > 0;
  const isGood = ['paid', 'partially_refunded'].includes(order.status);
  const status = isDeclined ? 'declined' : order.status;
  const text = order.status === 'paid' ? (isReady ? 'paid' : 'paid_waiting') : status;
  return el(
    'header',
    { class: `order-head is-${status}`, 'aria-live': 'polite' },
    el(
      'span',
      { class: 'order-mark', 'aria-hidden': 'true' },
      icon(isGood ? 'check' : status === 'pending' ? 'clock' : 'cross', 28),
    ),
    el('h1', { dataset: { testid: 'order-status', status: order.status } }, t(`order.title.${status}`)),
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

const chooseAgain = (order) =>
  el('p', { class: 'centred' }, el('a', { class: 'button', href: `/e/${order.event_id}` }, t('order.choose_again')));

function files(order, tickets) {
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
    el('h2', {}, t(order.paid_at ? 'order.bought' : 'order.wanted')),
    el('ul', { class: 'picked' }, (order.lines ?? []).map(line)),
    el('div', { class: 'total' }, el('span', { class: 'muted' }, t('total')), el('strong', {}, formatMoney(order.total))),
  );
}
