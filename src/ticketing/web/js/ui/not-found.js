// The content of the 404 page. Usually the server has rendered it already.

import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export function showNotFound(main) {
  if (main.querySelector('[data-testid=not-found]')) return;
  fill(
    main,
    el(
      'section',
      { class: 'narrow stack', dataset: { testid: 'not-found' } },
      el('h1', {}, t('lost_page.title')),
      el('p', {}, t('lost_page.text')),
      el('p', {}, el('a', { class: 'button primary', href: '/' }, t('lost_page.home'))),
    ),
  );
}
