// Turns an API error into words: what happened, what did not happen, and the next step.

import { ApiError } from '../api/client.js';
import { hasTranslation, t } from '../words/translate.js';

export function errorMessage(error) {
  if (!(error instanceof ApiError)) return t('error.unknown', { id: '' });
  const { limit, left } = error.errors[0] ?? {};
  const seats = error.seats.join(', ');
  const values = { seconds: error.retryAfter || 5, id: error.correlationId ?? '', seats, limit, left };
  if (hasTranslation(`error.${error.code}`)) return t(`error.${error.code}`, values);
  const fields = error.errors.map((one) => one.message).filter(Boolean);
  if (error.status === 422 && fields.length > 0) return fields.join(' ');
  return error.message || t('error.unknown', values);
}

/** Puts each 422 message under its input; what names no input of this form is returned as one sentence. */
export function showFieldErrors(form, error) {
  const rest = [];
  clearFieldErrors(form);
  for (const one of error.errors ?? []) {
    const input = form.elements.namedItem(
      String(one.field ?? '')
        .split('.')
        .pop(),
    );
    if (!input?.setCustomValidity) rest.push(one.message);
    else {
      input.setAttribute('aria-invalid', 'true');
      const line = document.createElement('span');
      line.className = 'field-error';
      line.textContent = one.message;
      input.closest('label')?.append(line);
    }
  }
  return rest.length > 0 || !(error.errors?.length > 0) ? errorMessage(error) : '';
}

export function clearFieldErrors(form) {
  for (const line of form.querySelectorAll('.field-error')) line.remove();
  for (const input of form.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
}
