// Amounts are integers in minor units with an ISO 4217 currency code and its number of digits, as the API sends them.
// Intl formats them only: it drops the digits of some currencies (HUF), so it must not decide what an amount is.

import { locale } from './dates.js';

const formats = new Map();

function formatFor(currency, digits) {
  const name = `${currency} ${digits}`;
  if (!formats.has(name)) {
    const options = { style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits };
    formats.set(name, new Intl.NumberFormat(locale(), options));
  }
  return formats.get(name);
}

/** `{amount: 4500, currency: "EUR", digits: 2}` → "€45.00". */
export function formatMoney(money) {
  if (!money?.currency) return '';
  return formatFor(money.currency, money.digits).format(money.amount / 10 ** money.digits);
}

/** The sum of prices in one currency; `scale` has the currency and its digits. */
export function sumMoney(prices, { currency, digits }) {
  return { amount: prices.reduce((sum, price) => sum + (price?.amount ?? 0), 0), currency, digits };
}

export const multiplyMoney = (price, quantity) => ({ ...price, amount: price.amount * quantity });
