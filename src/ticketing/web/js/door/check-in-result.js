// What the door says about a scan: welcome, already inside, or why not.

import { formatTime } from '../lib/dates.js';
import { errorMessage } from '../ui/error-messages.js';
import { t } from '../words/translate.js';

const REFUSALS = { already_checked_in: 'warn', voided: 'bad', wrong_event: 'bad', invalid_code: 'bad' };

/** Gives `{kind, result, title, text}` from the answer or the error of a check-in. */
export function checkInResult(answer, error) {
  if (answer)
    return { kind: 'good', result: answer.result ?? 'admitted', title: t('door.admitted'), text: ticketDetails(answer.ticket) };
  const kind = REFUSALS[error.code];
  if (error.code === 'already_checked_in')
    return { kind, result: error.code, title: t('door.already'), text: t('door.already_text', firstScan(error)) };
  // The server knows more about a code that it refuses than that it is wrong: it may be an old one of a given ticket.
  if (error.code === 'invalid_code')
    return { kind, result: error.code, title: t('door.invalid'), text: error.message || t('door.invalid_text') };
  if (kind) return { kind, result: error.code, title: t(`door.${error.code}`), text: t(`door.${error.code}_text`) };
  return { kind: 'warn', result: error.code ?? 'failed', title: t('door.failed'), text: errorMessage(error) };
}

function ticketDetails(ticket) {
  return [ticket?.seat?.label ?? ticket?.seat, ticket?.ticket_type?.name ?? ticket?.name, ticket?.holder_name]
    .filter(Boolean)
    .join(' · ');
}

function firstScan(error) {
  const first = error.errors[0] ?? {};
  return { time: first.first_scanned_at ? formatTime(first.first_scanned_at) : '', gate: first.gate ?? '' };
}
