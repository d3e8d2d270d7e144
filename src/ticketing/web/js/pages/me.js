// /me: the user's holds and orders, newest first, and account settings.

import { ensureLogin } from '../account/login-form.js';
import { membershipsBox } from '../account/memberships-box.js';
import { myDataBox } from '../account/my-data.js';
import { secondFactorBox } from '../account/second-factor.js';
import { verifyEmailBox } from '../account/verify-email-box.js';
import { get } from '../api/client.js';
import { onHoldChange } from '../api/hold-changes.js';
import { formatShortDateTime } from '../lib/dates.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { t } from '../words/translate.js';

export async function open(main) {
  const host = el('div', { class: 'stack' });
  fill(main, el('section', { class: 'narrow wide-narrow stack' }, el('h1', {}, t('me.title')), host));
  if (!(await ensureLogin(t('login.to_see')))) return location.assign('/');
  const me = get('/me');
  // Only the orders are worth an error page: the rest is left out while it cannot be loaded.
  const [orders, holds, emailBox, memberships] = await Promise.all([
    get('/me/orders'),
    get('/me/reservations').catch(() => []),
    me.then(verifyEmailBox).catch(() => null),
    me.then(membershipsBox).catch(() => null),
  ]);
  const held = el('div', { class: 'stack' });
  const showHolds = (all) => fill(held, holdCards((all ?? []).filter((hold) => hold.status === 'active')));
  showHolds(holds);
  onHoldChange(async () => showHolds(await get('/me/reservations').catch(() => [])));
  return fill(
    host,
    emailBox,
    held,
    orders.length > 0 ? orders.map(orderCard) : el('p', { class: 'muted' }, t('me.none')),
    memberships,
    secondFactorBox(),
    myDataBox(),
  );
}

function holdCards(holds) {
  const card = (hold) =>
    el(
      'a',
      { class: 'card', href: `/e/${hold.event_id}`, dataset: { testid: 'my-hold' } },
      el(
        'span',
        { class: 'card-body' },
        el('strong', {}, t('me.holds')),
        el('span', { class: 'muted' }, joined([formatMoney(hold.total), t('me.pay')])),
      ),
    );
  return holds.map(card);
}

function orderCard(order) {
  const count = (order.lines ?? []).reduce((sum, line) => sum + (line.quantity ?? 1), 0);
  return el(
    'a',
    {
      class: 'card',
      href: `/o/${encodeURIComponent(order.reference)}`,
      dataset: { testid: 'my-order', reference: order.reference },
    },
    el(
      'span',
      { class: 'card-body' },
      el('span', { class: 'card-title' }, order.event?.title ?? order.reference),
      el(
        'span',
        { class: 'muted' },
        joined([
          order.event?.starts_at && formatShortDateTime(order.event.starts_at, order.event.timezone),
          order.event?.venue_name,
        ]),
      ),
      el(
        'span',
        { class: 'card-foot' },
        el('span', { class: 'muted' }, joined([t('me.tickets', { count }), formatMoney(order.total)])),
        el('span', { class: `tag tag-${order.status}` }, t(`status.${order.status}`)),
      ),
    ),
  );
}
