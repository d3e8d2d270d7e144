// Amounts are integers in minor units with an ISO 4217 currency code; they are formatted only here.

import { locale } from './dates.js';

const formats = new Map();

function formatFor(currency) {
  if (!formats.has(currency)) {
    formats.set(currency, new Intl.NumberFormat(locale(), { style: 'currency', currency }));
  }
  return formats.get(currency);
}

/** `{amount: 4500, currency: "EUR"}` → "€45.00". Currencies without minor units (JPY) are handled by Intl. */
export function formatMoney(money) {
  if (!money?.currency) return '';
  const format = formatFor(money.currency);
  return format.format(money.amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

export function sumMoney(prices, currency) {
  return { amount: prices.reduce((sum, price) => sum + (price?.amount ?? 0), 0), currency };
}

export const multiplyMoney = (price, quantity) => ({ amount: price.amount * quantity, currency: price.currency });

/** Parses user input ("45", "45.50" or "45,50") into minor units; null if it is not an amount. */
export function parseMinorUnits(text, currency) {
  const digits = formatFor(currency).resolvedOptions().maximumFractionDigits;
  const number = Number(String(text).replace(',', '.'));
  return Number.isFinite(number) && number >= 0 ? Math.round(number * 10 ** digits) : null;
}
