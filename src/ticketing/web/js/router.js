// Which page module belongs to which address. Pages are real documents, so going back always works.

const ROUTES = [
  [/^\/$/, () => import('./pages/home.js')],
  [/^\/e\/([^/]+)\/?$/, () => import('./pages/event.js')],
  [/^\/o\/([^/]+)\/?$/, () => import('./pages/order.js')],
  [/^\/login\/?$/, () => import('./pages/login.js')],
  [/^\/account\/verify\/?$/, () => import('./pages/verify.js')],
  [/^\/account\/reset\/?$/, () => import('./pages/reset.js')],
  [/^\/me\/?$/, () => import('./pages/me.js')],
  [/^\/console\/?$/, () => import('./pages/console.js')],
  [/^\/door\/?$/, () => import('./pages/door.js')],
];

/** Loads the page for `path` and draws it into `main`; an address without a page keeps what the server wrote. */
export async function openPage(path, main) {
  for (const [pattern, load] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return (await load()).open(main, ...match.slice(1).map(decodeURIComponent));
  }
  return undefined;
}
