// What the pages behind links in letters share: the secret of the link, one form, and how it ended.

import { el, fill } from '../lib/dom.js';
import { clearFieldErrors, showFieldErrors } from '../ui/error-messages.js';

export const linkToken = () => location.hash.slice(1);

/** Takes the secret out of the address bar and the history, once it is worth nothing any more. */
export const clearLinkToken = () => history.replaceState(null, '', location.pathname);

/** A form that calls `send(body)`; under an error that is about no field stands `next`, the way out of it. */
export function submitForm(label, send, next) {
  const problem = el('p', { class: 'form-error', role: 'alert', dataset: { testid: 'account-error' }, hidden: true });
  const button = el('button', { class: 'button primary wide', dataset: { testid: 'account-submit' } }, label);
  const form = el('form', { class: 'stack', novalidate: true }, problem, button);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clearFieldErrors(form);
    problem.hidden = true;
    button.disabled = true;
    try {
      await send(Object.fromEntries(new FormData(form)));
    } catch (error) {
      const words = showFieldErrors(form, error);
      fill(problem, words, next && error.code === 'link_invalid' ? [' ', next] : null);
      problem.hidden = words === '';
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

/** How it ended; `link` is [address, text]. The heading takes the focus, so that a screen reader says it. */
export function outcomeView(title, text, link) {
  const heading = el('h1', { tabindex: '-1', dataset: { testid: 'account-outcome' } }, title);
  requestAnimationFrame(() => heading.focus());
  const way = link && el('a', { class: 'button primary wide', href: link[0] }, link[1]);
  return el('section', { class: 'narrow stack' }, heading, el('p', { class: 'muted' }, text), way);
}
