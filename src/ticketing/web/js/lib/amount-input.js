// Reads amounts that people type. An amount that could mean two things is refused, never guessed.

import { locale } from './dates.js';

/** The largest amount that the API accepts, in minor units. */
const AMOUNT_MAX = 10 ** 12;

/**
 * `{amount}` in minor units, or `{wrong}`: blank, format, ambiguous, too_fine or too_large.
 *
 * The separators are those of the reader's language. The other notation ("45,50" in English) is read too where it can
 * mean nothing else: "1,250" is 1250 euros in English, because euros have two decimals, but could be 1.250 dinars.
 */
export function parseAmount(text, digits, language = locale()) {
  const typed = text.normalize('NFKC').trim().replace(/[\s’]/g, "'");
  if (typed === '') return { wrong: 'blank' };
  const decimal = decimalSeparator(language);
  const local = read(typed, decimal);
  const foreign = read(typed, decimal === '.' ? ',' : '.');
  const isDecimal = (reading) => reading !== null && reading.fraction !== '' && reading.fraction.length <= digits;
  if (local === null) return isDecimal(foreign) ? toMinorUnits(foreign, digits) : { wrong: 'format' };
  if (local.fraction.length > digits) return { wrong: 'too_fine' };
  if (local.fraction === '' && isDecimal(foreign)) return { wrong: 'ambiguous' };
  return toMinorUnits(local, digits);
}

const decimalSeparator = (language) =>
  new Intl.NumberFormat(language).formatToParts(1.5).find((part) => part.type === 'decimal').value === ',' ? ',' : '.';

/** The whole and the fractional digits of a number with this decimal separator; null if it is not one. */
function read(typed, decimal) {
  const group = decimal === '.' ? "[,']" : "[.']";
  const form = new RegExp(`^(0|[1-9]\\d*|[1-9]\\d{0,2}(?:(${group})\\d{3})(?:\\2\\d{3})*)(?:\\${decimal}(\\d+))?$`);
  const found = form.exec(typed);
  return found && { whole: found[1].replace(/\D/g, ''), fraction: found[3] ?? '' };
}

function toMinorUnits({ whole, fraction }, digits) {
  const amount = Number(whole + fraction.padEnd(digits, '0'));
  return amount <= AMOUNT_MAX ? { amount } : { wrong: 'too_large' };
}
