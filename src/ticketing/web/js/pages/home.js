// /: the search box and the events as cards.

import { getPage } from '../api/client.js';
import { el, fill } from '../lib/dom.js';
import { trackLatest } from '../lib/latest.js';
import { errorMessage } from '../ui/error-messages.js';
import { eventCard } from '../ui/event-card.js';
import { icon } from '../ui/icons.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const TYPING_PAUSE_MS = 250;

export async function open(main) {
  // Content rendered by the server is kept, so that typed text is not lost and the layout does not shift.
  if (!main.querySelector('.home'))
    fill(
      main,
      el(
        'section',
        { class: 'home' },
        el('h1', {}, t('home.title')),
        searchForm(),
        el('div', { class: 'cards', dataset: { testid: 'events' } }),
      ),
    );
  const form = main.querySelector('form');
  const cards = main.querySelector('.cards');
  const more = el('div', { class: 'more' });
  cards.after(more);
  const search = makeSearch(form.elements.namedItem('q'), cards, more);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    search.again();
  });
  // Its failure is the page's.
  await search.first();
}

function searchForm() {
  const input = el('input', {
    id: 'q',
    name: 'q',
    type: 'search',
    value: new URLSearchParams(location.search).get('q') ?? '',
    maxlength: 200,
    dataset: { testid: 'search' },
  });
  return el(
    'form',
    { class: 'search', role: 'search', action: '/', method: 'get' },
    el('label', { class: 'sr', for: 'q' }, t('home.search')),
    icon('search'),
    input,
    el('button', { class: 'button primary' }, t('home.search_button')),
  );
}

function makeSearch(input, cards, more) {
  const begin = trackLatest();
  let timer = 0;
  const load = async (cursor = null) => {
    const isLatest = begin();
    const query = new URLSearchParams({
      limit: '24',
      ...(input.value.trim() && { q: input.value.trim() }),
      ...(cursor && { cursor }),
    });
    const page = await getPage(`/events?${query}`);
    if (isLatest()) show(page, cursor);
  };
  const loadOrOffer = async (cursor) => {
    const actions = [{ label: t('load.retry'), run: () => loadOrOffer(cursor), testid: 'retry' }];
    await load(cursor).catch((error) => showNotice(errorMessage(error), { kind: 'bad', actions }));
  };
  const show = ({ data, meta }, cursor) => {
    const eventCards = data.map(eventCard);
    if (cursor) cards.append(...eventCards);
    else
      fill(
        cards,
        eventCards.length > 0
          ? eventCards
          : el('p', { class: 'muted', dataset: { testid: 'no-events' } }, t(input.value.trim() ? 'home.none' : 'home.empty')),
      );
    const next = meta?.next_cursor;
    fill(more, next && el('button', { type: 'button', class: 'button', onclick: () => loadOrOffer(next) }, t('home.more')));
  };
  input.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      history.replaceState(null, '', input.value.trim() ? `/?q=${encodeURIComponent(input.value.trim())}` : '/');
      loadOrOffer();
    }, TYPING_PAUSE_MS);
  });
  return { first: load, again: loadOrOffer };
}
