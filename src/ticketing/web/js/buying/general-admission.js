// General admission: one line per ticket type without seats, with the availability and a quantity stepper.

import { joined } from '../lib/directions.js';
import { el, setText } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { icon } from '../ui/icons.js';
import { t } from '../words/translate.js';

export function generalAdmission(store) {
  const lines = store.areaTypes.map((type) => stepper(store, type));
  const node = el(
    'section',
    { class: 'panel-part' },
    el('h2', {}, t(store.seats ? 'standing.title' : 'tickets.title')),
    lines.map((line) => line.node),
  );
  return { node, update: () => lines.forEach((line) => line.update()) };
}

function stepper(store, type) {
  const quantity = () => store.quantities.get(type.id) ?? 0;
  const button = (name, change) =>
    el(
      'button',
      {
        type: 'button',
        class: 'step',
        'aria-label': t(`step.${name}`, { name: type.name }),
        dataset: { testid: `ga-${name}`, ticketType: type.name },
        onclick: () => store.setQuantity(type.id, quantity() + change),
      },
      icon(name),
    );
  const [minus, plus] = [button('minus', -1), button('plus', 1)];
  const left = el('div', { class: 'muted small-text' });
  const output = el('output', { 'aria-label': t('step.quantity', { name: type.name }), dataset: { testid: 'ga-quantity' } });
  const node = el(
    'div',
    { class: 'stepper', dataset: { testid: 'ga-row', ticketType: type.name } },
    el('div', { class: 'grow' }, el('strong', {}, type.name), left),
    minus,
    output,
    plus,
  );
  const update = () => {
    const available = store.availableOf(type);
    setText(
      left,
      joined([type.price.amount === 0 ? t('free_of_charge') : formatMoney(type.price), availabilityText(available)]),
    );
    setText(output, String(quantity()));
    minus.disabled = store.isBusy || store.isClosed || quantity() === 0;
    plus.disabled = store.isBusy || store.isClosed || quantity() >= store.maxQuantity(type);
  };
  return { node, update };
}

function availabilityText(available) {
  if (available === null) return '';
  return available > 0 ? t('prices.free', { count: available }) : t('sold_out');
}
