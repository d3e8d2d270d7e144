// Files behind the log-in: fetched with the token, then handed to the browser as if they had been links.

import { getBlob } from '../api/client.js';
import { el } from '../lib/dom.js';
import { errorMessage } from './error-messages.js';
import { showNotice } from './notice.js';

const KEPT_MS = 60_000;

export async function downloadFile(path, name) {
  try {
    const address = URL.createObjectURL(await getBlob(path));
    const link = el('a', { href: address, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
}

/** An image behind the log-in; the blob is let go as soon as the picture is decoded. */
export async function loadImage(image, path) {
  const address = URL.createObjectURL(await getBlob(path));
  image.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
}
