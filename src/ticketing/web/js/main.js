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
import { drawHeader } from './ui/header.js';
import { showLoadFailure, showWaiting } from './ui/load-failure.js';

async function start() {
  const main = document.querySelector('main');
  const rendered = [...main.childNodes].map((node) => node.cloneNode(true));
  drawHeader();
  showWaiting(main);
  await load(main, rendered);
  main.dataset.ready = 'true';
}

/** Opens the page; if that fails, shows why above the content that the server has rendered, with Retry. */
async function load(main, rendered) {
  const content = () => rendered.map((node) => node.cloneNode(true));
  const retry = () => {
    main.replaceChildren(...content());
    return load(main, rendered);
  };
  try {
    await openPage(location.pathname, main);
  } catch (error) {
    // Without the page's own modules, only a reload can help.
    showLoadFailure(main, content(), error, error instanceof TypeError ? () => location.reload() : retry);
  }
}

start();
