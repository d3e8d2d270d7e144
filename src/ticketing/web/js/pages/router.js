// Maps paths to page modules. Each page is a separate document; there is no client-side navigation.

const ROUTES = [
  [/^\/$/, () => import('./home.js')],
  [/^\/e\/([^/]+)\/?$/, () => import('./event.js')],
  [/^\/o\/([^/]+)\/?$/, () => import('./order.js')],
  [/^\/login\/?$/, () => import('./login.js')],
  [/^\/account\/verify\/?$/, () => import('./verify-email.js')],
  [/^\/account\/reset\/?$/, () => import('./reset-password.js')],
  [/^\/account\/invitation\/?$/, () => import('./invitation.js')],
  [/^\/me\/?$/, () => import('./me.js')],
  [/^\/console\/?$/, () => import('./console.js')],
  [/^\/door\/?$/, () => import('./door.js')],
];

/** Loads the page of `path` and draws it into `main`; for other paths, the content from the server stays. */
export async function openPage(path, main) {
  for (const [pattern, load] of ROUTES) {
    const match = pattern.exec(path);
    if (match) return (await load()).open(main, ...match.slice(1).map(decodeURIComponent));
  }
  return undefined;
}
