// The entry point of every page: draws the header, then the page of the current path.
//
// Imports point downwards only, within a folder or to a lower layer (tests/web/test_js_structure.py):
//   pages                             one module per path, and the router
//   buying   console                  the purchase of one event; the organizer's forms and tables
//   seatmap  account  order  door     the map and list of seats; log-in and account; orders and tickets; check-in
//   ui                                notices, errors, header, icons and what several pages share
//   api                               HTTP client, session, idempotency keys, live stream
//   lib      words                    DOM, storage, dates, money, server clock; texts

import { openPage } from './pages/router.js';
import { errorMessage } from './ui/error-messages.js';
import { drawHeader } from './ui/header.js';
import { showNotice } from './ui/notice.js';

async function start() {
  const main = document.querySelector('main');
  drawHeader();
  try {
    await openPage(location.pathname, main);
  } catch (error) {
    showNotice(errorMessage(error), { kind: 'bad' });
  }
  main.dataset.ready = 'true';
}

start();
