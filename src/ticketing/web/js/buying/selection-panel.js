// The panel while seats are chosen: prices as filters, best available, picked seats, and the button to hold them.
// Every part is built once and then updated in place: a tap is lost if its button is replaced in the meantime.

import { joined } from '../lib/directions.js';
import { el, fill, setText } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { categoryClass } from '../seatmap/palette.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';
import { generalAdmission } from './general-admission.js';

/** Returns `{node, update}`; `update()` applies the current state of the store. A closed sale shows its prices only. */
export function selectionPanel(store) {
  const isOpen = !store.isClosed;
  const parts = [
    store.seats && pricesPart(store),
    store.areaTypes.length > 0 && generalAdmission(store),
    isOpen && store.seats && bestAvailablePart(store),
    isOpen && store.seats && pickedPart(store),
    isOpen && footPart(store),
  ].filter(Boolean);
  const update = () => parts.forEach((part) => part.update());
  update();
  return {
    node: el(
      'div',
      { class: 'choose' },
      parts.map((part) => part.node),
    ),
    update,
  };
}

function pricesPart(store) {
  const rows = store.seats.categories.filter((category) => category.total > 0).map((category) => priceRow(store, category));
  const node = el(
    'section',
    { class: 'panel-part' },
    el('h2', {}, t('prices.title')),
    el(
      'ul',
      { class: 'prices' },
      rows.map((row) => el('li', {}, row.node)),
    ),
  );
  return { node, update: () => rows.forEach((row) => row.update()) };
}

function priceRow(store, category) {
  const toggle = () => {
    const filter = new Set(store.filter ?? []);
    if (!filter.delete(category.index)) filter.add(category.index);
    store.setFilter(filter.size > 0 ? filter : null);
  };
  const free = el('span', { class: 'muted small-text' });
  const node = el(
    'button',
    { type: 'button', class: 'price', onclick: toggle, dataset: { testid: 'price-filter', category: category.name } },
    el('span', { class: `dot ${categoryClass(category.index)}`, 'aria-hidden': 'true' }),
    el('span', { class: 'price-name' }, category.name),
    free,
    el('strong', {}, category.price ? formatMoney(category.price) : t('prices.not_sold')),
  );
  const update = () => {
    node.setAttribute('aria-pressed', String(store.filter?.has(category.index) ?? false));
    setText(free, category.free > 0 ? t('prices.free', { count: category.free }) : t('prices.none'));
  };
  return { node, update };
}

function bestAvailablePart(store) {
  const options = store.seats.categories.filter((category) => category.price && category.total > 0);
  const numbers = Array.from({ length: store.limit }, (_, index) => index + 1);
  const quantity = el(
    'select',
    { dataset: { testid: 'best-quantity' } },
    numbers.map((n) => el('option', { value: n, selected: n === Math.min(2, store.limit) }, n)),
  );
  const category = el(
    'select',
    { dataset: { testid: 'best-category' } },
    el('option', { value: '' }, t('best.any')),
    options.map(({ name, price }) => el('option', { value: name }, joined([name, formatMoney(price)]))),
  );
  const button = el(
    'button',
    {
      type: 'button',
      class: 'button',
      dataset: { testid: 'best-button' },
      onclick: () => store.holdBestAvailable(Number(quantity.value), category.value),
    },
    t('best.button'),
  );
  const node = el(
    'section',
    { class: 'panel-part' },
    el('h2', {}, t('best.title')),
    el(
      'div',
      { class: 'best' },
      el('label', { class: 'field' }, el('span', {}, t('best.quantity')), quantity),
      el('label', { class: 'field grow' }, el('span', {}, t('best.category')), category),
      button,
    ),
  );
  return { node, update: () => (button.disabled = store.isBusy || store.stream === 'lost') };
}

function pickedPart(store) {
  const list = el('div', { 'aria-live': 'polite' });
  let shown = null;
  const update = () => {
    const key = [...store.picks].join();
    if (key === shown) return;
    shown = key;
    fill(
      list,
      store.picks.size > 0
        ? el(
            'ul',
            { class: 'picked', dataset: { testid: 'picked' } },
            [...store.picks].map((number) => pickedRow(store, number)),
          )
        : el('p', { class: 'muted' }, t('picked.none')),
    );
  };
  return { node: el('section', { class: 'panel-part' }, el('h2', {}, t('picked.title')), list), update };
}

function pickedRow(store, number) {
  const name = store.nameOf(number);
  return el(
    'li',
    { dataset: { testid: 'picked-seat', picked: store.seats.list[number].label } },
    el('span', { class: `dot ${categoryClass(store.seats.category[number])}`, 'aria-hidden': 'true' }),
    el('span', { class: 'grow' }, name),
    el('span', {}, formatMoney(store.seats.priceOf(number))),
    el(
      'button',
      {
        type: 'button',
        class: 'icon-button',
        'aria-label': t('picked.drop', { seat: name }),
        onclick: () => store.toggle(number),
      },
      icon('close', 18),
    ),
  );
}

function footPart(store) {
  const total = el('strong', { dataset: { testid: 'total' } });
  const button = el('button', {
    type: 'button',
    class: 'button primary wide',
    dataset: { testid: 'hold-button' },
    onclick: () => store.hold(),
  });
  const update = () => {
    const count = store.pickedCount;
    setText(total, formatMoney(store.total));
    node.classList.toggle('is-empty', count === 0);
    setText(
      button,
      store.isBusy
        ? t('hold.busy')
        : count === 0
          ? t(store.seats ? 'hold.choose' : 'hold.choose_tickets')
          : t(store.seats ? 'hold.seats' : 'hold.tickets', { count }),
    );
    button.disabled = count === 0 || store.isBusy || store.stream === 'lost';
  };
  const node = el(
    'div',
    { class: 'panel-foot', dataset: { testid: 'panel-foot' } },
    el('div', { class: 'total' }, el('span', { class: 'muted' }, t('total')), total),
    button,
  );
  return { node, update };
}
