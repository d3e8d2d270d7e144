// Begins every page: the header, then the page that belongs to the address.

import { openPage } from './pages/router.js';
import { errorMessage } from './ui/error-messages.js';
import { drawHeader } from './ui/header.js';
import { showNotice } from './ui/notice.js';

async function begin() {
  const main = document.querySelector('main');
  drawHeader();
  try {
    await openPage(location.pathname, main);
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
  main.dataset.ready = 'true';
}

begin();
