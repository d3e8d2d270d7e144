// Begins every page: the header, then the page that belongs to the address.

import { drawHeader } from './header.js';
import { notice } from './notice.js';
import { openPage } from './router.js';
import { sorry } from './sorry.js';

async function begin() {
  const main = document.querySelector('main');
  drawHeader();
  try {
    await openPage(location.pathname, main);
  } catch (error) {
    notice(sorry(error), { kind: 'bad' });
  }
  main.dataset.ready = 'true';
}

begin();
