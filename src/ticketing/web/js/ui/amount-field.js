// A form field for an amount of money, and the line that shows how the amount was read, before it is saved.

import { parseAmount } from '../lib/amount-input.js';
import { el, setText } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { t } from '../words/translate.js';

/** A labelled field for amounts of one currency. The form cannot be sent while what is typed is not an amount. */
export function amountField(name, label, { currency, digits }) {
  const shown = el('output', { id: `${name}-read`, class: 'muted small-text', dataset: { testid: `${name}-read` } });
  const control = el('input', { name, inputmode: 'decimal', autocomplete: 'off', 'aria-describedby': shown.id });
  const show = () => {
    const { amount, wrong } = parseAmount(control.value, digits);
    const problem = wrong ? t(`amount.${wrong}`, { currency, digits }) : '';
    control.setCustomValidity(problem);
    const meaning = amount === 0 ? t('free_of_charge') : formatMoney({ amount, currency, digits });
    setText(shown, problem ? (wrong === 'blank' ? '' : problem) : meaning);
  };
  control.addEventListener('input', show);
  show();
  return {
    field: el('label', { class: 'field' }, el('span', {}, label), control),
    shown,
    /** The amount in minor units; call it only for a valid form. */
    read: () => parseAmount(control.value, digits).amount,
  };
}
