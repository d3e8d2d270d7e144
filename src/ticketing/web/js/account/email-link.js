// What the pages behind links in emails share: the token of the link, a form, and the result.

import { el, fill } from '../lib/dom.js';
import { clearFieldErrors, showFieldErrors } from '../ui/error-messages.js';

export const linkToken = () => location.hash.slice(1);

/** Removes the used token from the address bar and the history. */
export const clearLinkToken = () => history.replaceState(null, '', location.pathname);

/** A form that calls `send(body)`. `recovery` is shown beside the error if the link is no longer valid. */
export function submitForm(label, send, recovery) {
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
      const message = showFieldErrors(form, error);
      fill(problem, message, recovery && error.code === 'link_invalid' ? [' ', recovery] : null);
      problem.hidden = message === '';
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

/** The result; `link` is [path, text]. The heading takes the focus, so that a screen reader announces it. */
export function outcomeView(title, text, link) {
  const heading = el('h1', { tabindex: '-1', dataset: { testid: 'account-outcome' } }, title);
  requestAnimationFrame(() => heading.focus());
  const next = link && el('a', { class: 'button primary wide', href: link[0] }, link[1]);
  return el('section', { class: 'narrow stack' }, heading, el('p', { class: 'muted' }, text), next);
}
