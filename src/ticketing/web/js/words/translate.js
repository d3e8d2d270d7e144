// Looks up the texts of the pages: t('key', {name: value}). A catalogue entry is a string with {name} placeholders, or a
// function of the values.

import en from './en.js';

const CATALOGUES = { en };
const catalogue = CATALOGUES[document.documentElement.lang] ?? en;

export function t(key, values = {}) {
  const entry = catalogue[key] ?? en[key];
  if (entry === undefined) return key;
  if (typeof entry === 'function') return entry(values);
  return entry.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

export const hasTranslation = (key) => (catalogue[key] ?? en[key]) !== undefined;
