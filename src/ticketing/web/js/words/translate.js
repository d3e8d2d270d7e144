// Looks up the texts of the pages: t('key', {name: value}). A catalogue entry is a string with {name} placeholders, or a
// function of the values. Each value is isolated: a name does not reorder the sentence around it.

import { isolate } from '../lib/directions.js';
import en from './en.js';

const CATALOGUES = { en };
const catalogue = CATALOGUES[document.documentElement.lang] ?? en;

export function t(key, values = {}) {
  const entry = catalogue[key] ?? en[key];
  if (entry === undefined) return key;
  const parts = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, isolate(value)]));
  if (typeof entry === 'function') return entry(parts);
  return entry.replace(/\{(\w+)\}/g, (_, name) => parts[name] ?? '');
}

const list = new Intl.ListFormat(document.documentElement.lang || 'en', { type: 'conjunction' });

/** `A, B and C`. */
export const listed = (names) => list.format(names);

export const hasTranslation = (key) => (catalogue[key] ?? en[key]) !== undefined;
