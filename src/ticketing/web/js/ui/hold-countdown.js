// <hold-countdown expires="RFC 3339" total="300">: a ring and digits that show the remaining time by the server's clock.
// Dispatches `soon` repeatedly during the last minute, and `done` once when the time is up.

import { setText } from '../lib/dom.js';
import { serverNow } from '../lib/server-clock.js';
import { t } from '../words/translate.js';

const SVG = 'http://www.w3.org/2000/svg';
const RADIUS = 26;
const CIRCUMFERENCE = 2 * Math.PI * RADIUS;
const SOON_MS = 60_000;

class HoldCountdown extends HTMLElement {
  static observedAttributes = ['expires', 'total'];
  #timer = 0;
  #arc = null;
  #digits = null;
  #done = false;
  #announced = Infinity;

  connectedCallback() {
    if (!this.#arc) this.#build();
    this.#timer = setInterval(() => this.#tick(), 250);
    this.#tick();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  attributeChangedCallback() {
    this.#done = false;
    if (this.#arc) this.#tick();
  }

  get leftMs() {
    return Math.max(0, Date.parse(this.getAttribute('expires')) - serverNow());
  }

  #build() {
    this.dataset.testid = 'countdown';
    this.setAttribute('role', 'timer');
    const svg = svgElement('svg', { viewBox: '0 0 64 64', 'aria-hidden': 'true', class: 'ring' });
    const circle = { cx: 32, cy: 32, r: RADIUS, fill: 'none' };
    this.#arc = svgElement('circle', {
      ...circle,
      class: 'ring-left',
      'stroke-dasharray': CIRCUMFERENCE,
      transform: 'rotate(-90 32 32)',
    });
    svg.append(svgElement('circle', { ...circle, class: 'ring-track' }), this.#arc);
    this.#digits = document.createElement('span');
    this.#digits.className = 'ring-digits';
    this.append(svg, this.#digits);
  }

  #tick() {
    const left = this.leftMs;
    const seconds = Math.round(left / 1000);
    const share = Math.min(1, left / (Number(this.getAttribute('total') || 300) * 1000));
    this.#arc.setAttribute('stroke-dashoffset', String(CIRCUMFERENCE * (1 - share)));
    setText(this.#digits, `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`);
    this.dataset.left = String(seconds);
    this.toggleAttribute('data-soon', left <= SOON_MS);
    this.#announce(seconds);
    if (left <= SOON_MS && left > 0) this.dispatchEvent(new CustomEvent('soon'));
    if (left === 0 && !this.#done) {
      this.#done = true;
      this.dispatchEvent(new CustomEvent('done'));
    }
  }

  /** Updates the accessible name once per minute: a screen reader would announce every second otherwise. */
  #announce(seconds) {
    const minutes = Math.ceil(seconds / 60);
    if (minutes === this.#announced) return;
    this.#announced = minutes;
    this.setAttribute('aria-label', t('held.minutes', { minutes }));
  }
}

function svgElement(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

customElements.define('hold-countdown', HoldCountdown);
