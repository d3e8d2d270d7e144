// Writing directions of what users have typed. An element gets its direction from its text (lib/dom.js); within a longer
// text, each part is isolated, so that it does not reorder the rest (UAX #9, §2.4.2).

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const STRONG = new RegExp(`${RIGHT_TO_LEFT.source}|\\p{L}`, 'u');
const ISOLATED = /\u2068[^\u2068\u2069]*\u2069/gu;

/** Returns a part of a longer text, in invisible characters that isolate it if it has right-to-left letters. */
export const isolate = (part) => (typeof part === 'string' && RIGHT_TO_LEFT.test(part) ? `\u2068${part}\u2069` : part);

/** Joins the parts that are not empty. */
export const joined = (parts, separator = ' · ') => parts.filter(Boolean).map(isolate).join(separator);

/** Whether a text has right-to-left letters outside its isolated parts. */
export function needsDirection(text) {
  if (!RIGHT_TO_LEFT.test(text)) return false;
  const rest = text.replaceAll(ISOLATED, '');
  return rest === text || needsDirection(rest);
}

/** Fills a text on a canvas in the direction of its first letter. */
export function fillText(ctx, text, ...place) {
  ctx.direction = RIGHT_TO_LEFT.test(STRONG.exec(text)?.[0] ?? '') ? 'rtl' : 'ltr';
  ctx.fillText(text, ...place);
}
