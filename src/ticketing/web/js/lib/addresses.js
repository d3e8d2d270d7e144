// Addresses that come from outside (a query, an API response) and are about to be opened.

/** Returns `text` as a URL; null if it is none. */
function parse(text) {
  try {
    return new URL(text, location.origin);
  } catch {
    return null;
  }
}

/**
 * Returns `text` as an absolute URL of this site, and the home page's for anything else.
 *
 * The result is absolute on purpose: `/.//host/` is parsed to the path `//host/`, and a path that begins like that is
 * another site when it is parsed once more.
 */
export function ownAddress(text) {
  const own = new URL('/', location.origin);
  const url = parse(text ?? '/');
  // By protocol too: the origin of a `blob:` URL is that of its page.
  if (url?.origin !== own.origin || url.protocol !== own.protocol) return own.href;
  own.pathname = url.pathname;
  own.search = url.search;
  own.hash = url.hash;
  return own.href;
}

/** Opens `text`, a page of this site or of a payment provider; the home page unless its scheme is http or https. */
export function goTo(text) {
  const url = parse(text ?? '/');
  location.assign(['http:', 'https:'].includes(url?.protocol) ? url.href : '/');
}
