// The seats as a list by section and row, for keyboards and screen readers; complete without the map.
// The buttons of a section are created when it is opened: an arena has 16,000 seats.

import { el, setText } from '../lib/dom.js';
import { formatMoney } from '../lib/money.js';
import { t } from '../words/translate.js';
import { categoryClass } from './palette.js';
import { STATUS_NAMES } from './seats.js';

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

export class SeatList {
  constructor(host, store) {
    this.store = store;
    this.buttons = new Map();
    this.mine = new Set();
    this.summaries = store.seats.sections.map((section) => this.#section(section));
    const list = el(
      'div',
      { class: 'seat-list', dataset: { testid: 'seat-list' } },
      this.summaries.map((summary) => summary.details),
    );
    list.addEventListener('click', (event) => this.#handleClick(event));
    list.addEventListener('keydown', (event) => this.#handleKey(event));
    host.append(list);
    store.on('statuses', ({ detail }) => this.#refresh(detail.changed));
    store.on('picks reservation', () => this.#refreshMine());
    this.#updateCounts();
  }

  #section(section) {
    const left = el('span', { class: 'muted' });
    const details = el(
      'details',
      { dataset: { section: section.name, testid: 'seat-section' } },
      el('summary', {}, el('span', { class: 'grow' }, section.name), left),
    );
    details.addEventListener('toggle', () => details.open && this.#fill(details, section));
    if (this.store.seats.sections.length === 1) details.open = true;
    return { section, details, left };
  }

  #fill(details, section) {
    if (details.querySelector('.rows')) return;
    const rows = section.rows.map((row) => {
      const first = row.seats.find((number) => this.store.seats.canPick(number)) ?? row.seats[0];
      const seats = row.seats.map((number) => this.#button(number, number === first));
      return el(
        'div',
        { class: 'row', role: 'group', 'aria-label': t('list.row', { row: row.name }), dataset: { row: row.name } },
        el('span', { class: 'row-name', 'aria-hidden': 'true' }, row.name),
        el('div', { class: 'row-seats' }, seats),
      );
    });
    details.append(el('div', { class: 'rows' }, rows));
  }

  #button(number, isTabStop) {
    const { seats } = this.store;
    const button = el(
      'button',
      { type: 'button', tabindex: isTabStop ? 0 : -1, dataset: { seat: seats.list[number].label, number } },
      seats.seatName(number),
    );
    this.buttons.set(number, button);
    this.#updateButton(number);
    return button;
  }

  #updateButton(number) {
    const button = this.buttons.get(number);
    if (!button) return;
    const { seats } = this.store;
    const isMine = this.mine.has(number);
    const state = isMine ? 'mine' : STATUS_NAMES[seats.statuses[number]];
    const price = seats.priceOf(number);
    button.className = `seat seat-${state} ${categoryClass(seats.category[number])}`;
    button.dataset.state = state;
    button.setAttribute('aria-pressed', String(isMine));
    button.setAttribute('aria-disabled', String(!isMine && !seats.canPick(number)));
    button.setAttribute(
      'aria-label',
      t('list.seat', {
        row: seats.list[number].row,
        seat: seats.seatName(number),
        price: price ? formatMoney(price) : '',
        state: t(`state.${state}`),
      }),
    );
  }

  #refresh(changed) {
    for (const number of changed) this.#updateButton(number);
    this.#updateCounts();
  }

  #refreshMine() {
    const before = this.mine;
    this.mine = new Set([...this.store.picks, ...this.store.heldNumbers]);
    for (const number of new Set([...before, ...this.mine])) this.#updateButton(number);
  }

  #updateCounts() {
    for (const { section, left } of this.summaries) {
      const text = section.free > 0 ? t('map.left', { count: section.free }) : t('map.none_left');
      setText(left, text);
    }
  }

  #handleClick(event) {
    const button = event.target.closest('[data-seat]');
    if (button) this.store.toggle(Number(button.dataset.number));
  }

  /** Left and right move within the row, up and down between rows. Each row has one tab stop (roving tabindex). */
  #handleKey(event) {
    const button = event.target.closest('[data-seat]');
    const next = button && this.#buttonAfter(button, event.key);
    if (!next) return;
    event.preventDefault();
    for (const other of next.parentElement.children) other.tabIndex = other === next ? 0 : -1;
    next.focus();
  }

  #buttonAfter(button, key) {
    const row = [...button.parentElement.children];
    const at = row.indexOf(button);
    if (key in STEPS) return row[at + STEPS[key]];
    if (key === 'Home') return row[0];
    if (key === 'End') return row.at(-1);
    const group = button.closest('.row');
    const other = key === 'ArrowUp' ? group.previousElementSibling : key === 'ArrowDown' ? group.nextElementSibling : null;
    const seats = other?.querySelectorAll('[data-seat]');
    return seats?.[Math.min(at, seats.length - 1)];
  }

  /** Opens the section of a seat. */
  reveal(number) {
    const { details } = this.summaries[this.store.seats.section[number]];
    details.open = true;
  }
}
