// <sale-countdown at="RFC 3339">: the time until a sale begins, by the server's clock.

import { setText } from '../lib/dom.js';
import { serverNow } from '../lib/server-clock.js';
import { t } from '../words/translate.js';

const DAY_SECONDS = 86_400;

class SaleCountdown extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    this.dataset.testid = 'sale-countdown';
    // Not announced by screen readers each second: a timer is read on demand.
    this.setAttribute('role', 'timer');
    this.#timer = setInterval(() => this.#tick(), 250);
    this.#tick();
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
  }

  #tick() {
    // Rounded up, so that it shows 0 only once the sale has begun.
    const seconds = Math.max(0, Math.ceil((Date.parse(this.getAttribute('at')) - serverNow()) / 1000));
    const [days, hours] = [Math.floor(seconds / DAY_SECONDS), Math.floor((seconds % DAY_SECONDS) / 3600)];
    const parts = [hours, Math.floor((seconds % 3600) / 60), seconds % 60].map((part) => String(part).padStart(2, '0'));
    const text = [days > 0 && t('sale.days', { days }), parts.join(':')].filter(Boolean).join(' ');
    setText(this, text);
  }
}

customElements.define('sale-countdown', SaleCountdown);
