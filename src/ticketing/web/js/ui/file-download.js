// Files behind the log-in: fetched with the token, then handed to the browser as if they had been links.

import { getFile } from '../api/client.js';
import { el } from '../lib/dom.js';
import { sorry } from './error-messages.js';
import { notice } from './notice.js';

const KEPT_MS = 60_000;

export async function saveFile(path, name) {
  try {
    const address = URL.createObjectURL(await getFile(path));
    const link = el('a', { href: address, download: name, hidden: true });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
  } catch (error) {
    notice(sorry(error), { kind: 'bad' });
  }
}

/** An image behind the log-in; the blob is let go as soon as the picture is decoded. */
export async function showPicture(image, path) {
  const address = URL.createObjectURL(await getFile(path));
  image.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
  image.src = address;
}
