// Messages for API errors: what happened, what did not happen, and the next step.

import { ApiError } from '../api/client.js';
import { joined } from '../lib/directions.js';
import { el } from '../lib/dom.js';
import { hasTranslation, t } from '../words/translate.js';

export function errorMessage(error) {
  if (!(error instanceof ApiError)) return t('error.unknown', { id: '' });
  const { limit, left, counted, total, message } = error.errors[0] ?? {};
  const seats = joined(error.seats, ', ');
  const values = { seconds: error.retryAfter || 5, id: error.correlationId ?? '', seats, limit, left, counted, total, message };
  if (hasTranslation(`error.${error.code}`)) return t(`error.${error.code}`, values);
  const fields = error.errors.map((detail) => detail.message).filter(Boolean);
  if (error.status === 422 && fields.length > 0) return fields.join(' ');
  return error.message || t('error.unknown', values);
}

/** Shows each 422 message under its input. Returns the messages that belong to no input of the form as one text. */
export function showFieldErrors(form, error) {
  const rest = [];
  clearFieldErrors(form);
  for (const detail of error.errors ?? []) {
    const input = form.elements.namedItem(
      String(detail.field ?? '')
        .split('.')
        .pop(),
    );
    if (!input?.setCustomValidity) rest.push(detail.message);
    else {
      input.setAttribute('aria-invalid', 'true');
      input.closest('label')?.append(el('span', { class: 'field-error' }, detail.message));
    }
  }
  return rest.length > 0 || !(error.errors?.length > 0) ? errorMessage(error) : '';
}

export function clearFieldErrors(form) {
  for (const line of form.querySelectorAll('.field-error')) line.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
}
