// Files that require authentication: fetched with the access token, then passed to the browser as object URLs.

import { getBlob } from '../api/client.js';
import { el } from '../lib/dom.js';
import { errorMessage } from './error-messages.js';
import { showNotice } from './notice.js';

const REVOKE_AFTER_MS = 60_000;

/** Saves the file at `path` of the API as `name`. */
export async function downloadFile(path, name) {
  try {
    const url = URL.createObjectURL(await getBlob(path));
    const link = el('a', { href: url, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), REVOKE_AFTER_MS);
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
}

/** Shows the image at `path` of the API in `image`; the object URL is revoked once the image is decoded. */
export async function loadImage(image, path) {
  const url = URL.createObjectURL(await getBlob(path));
  image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
  image.src = url;
}
