// The organization's orders, newest first, with a search and a CSV export.

import { getPage } from '../api/client.js';
import { formatShortDateTime } from '../lib/dates.js';
import { el, fill } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { rememberOrder } from '../order/known-orders.js';
import { downloadFile } from '../ui/file-download.js';
import { runWithNotice } from '../ui/form-controls.js';
import { t } from '../words/translate.js';

export function ordersBox(org) {
  const table = el('div', { class: 'scroll', dataset: { testid: 'console-orders' } });
  const search = el('input', { type: 'search', 'aria-label': t('home.search_button'), dataset: { testid: 'order-search' } });
  const refresh = async () => {
    const q = search.value.trim();
    const { data } = await getPage(`/orgs/${org.id}/orders?limit=50${q ? `&q=${encodeURIComponent(q)}` : ''}`);
    fill(table, data.length > 0 ? orderTable(data) : el('p', { class: 'muted' }, t('console.no_orders')));
  };
  search.addEventListener('change', () => runWithNotice(refresh));
  const download = (variant, label) =>
    el(
      'button',
      {
        type: 'button',
        class: 'button small',
        dataset: { testid: `orders-${variant}` },
        onclick: () => downloadFile(`/orgs/${org.id}/orders.csv?variant=${variant}`, `orders-${org.slug}.csv`),
      },
      t(label),
    );
  const csv = [download('standard', 'console.csv'), download(excelVariant(), 'console.excel')];
  return {
    box: el('section', { class: 'box' }, el('div', { class: 'box-head' }, el('h2', {}, t('console.orders')), search, ...csv), table),
    refresh,
  };
}

// Excel reads numbers and separators of the reader's country, which the browser's language tells best.
const excelVariant = () => (new Intl.NumberFormat(navigator.language).format(1.5).includes(',') ? 'excel' : 'excel-point');

function orderTable(orders) {
  const head = ['order.reference', 'console.when', 'console.buyer', 'door.event', 'console.status'].map((key) =>
    el('th', { scope: 'col' }, t(key)),
  );
  const row = (order) =>
    el(
      'tr',
      { dataset: { reference: order.reference } },
      el(
        'td',
        {},
        el(
          'a',
          { href: `/o/${encodeURIComponent(order.reference)}`, onclick: () => rememberOrder(order, order.buyer?.email) },
          order.reference,
        ),
      ),
      el('td', {}, formatShortDateTime(order.created_at)),
      el('td', {}, order.buyer?.name ?? '', el('div', { class: 'muted small-text' }, order.buyer?.email ?? '')),
      el('td', {}, order.event?.title ?? ''),
      el('td', {}, el('span', { class: `tag tag-${order.status}` }, t(`status.${order.status}`))),
      el('td', { class: 'number' }, formatMoney(order.total)),
    );
  return el(
    'table',
    {},
    el('thead', {}, el('tr', {}, head, el('th', { scope: 'col', class: 'number' }, t('total')))),
    el('tbody', {}, orders.map(row)),
  );
}
