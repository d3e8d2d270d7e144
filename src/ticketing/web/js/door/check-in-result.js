// The result of a scan as the door page shows it: admitted, already inside, or the reason for a refusal.

import { ApiError } from '../api/client.js';
import { formatTime } from '../lib/dates.js';
import { joined } from '../lib/directions.js';
import { errorMessage } from '../ui/error-messages.js';
import { t } from '../words/translate.js';

const KIND_BY_ERROR = {
  already_checked_in: 'warn',
  voided: 'bad',
  wrong_event: 'bad',
  event_cancelled: 'bad',
  invalid_code: 'bad',
};

/**
 * Returns `{kind, result, title, text, isUnanswered}` for the response or the error of a check-in, one of which is null.
 * `isUnanswered`: the server may or may not have recorded the scan.
 */
export function checkInResult(response, error, zone) {
  if (response)
    return {
      kind: 'good',
      result: response.result ?? 'admitted',
      title: t('door.admitted'),
      text: ticketDetails(response.ticket),
    };
  const kind = KIND_BY_ERROR[error.code];
  if (error.code === 'already_checked_in')
    return { kind, result: error.code, title: t('door.already'), text: t('door.already_text', firstScan(error, zone)) };
  // The server's message may say more, for example that the code was replaced when the ticket was transferred.
  if (error.code === 'invalid_code')
    return { kind, result: error.code, title: t('door.invalid'), text: error.message || t('door.invalid_text') };
  if (kind) return { kind, result: error.code, title: t(`door.${error.code}`), text: t(`door.${error.code}_text`) };
  if (error instanceof ApiError && error.isTransient)
    return { kind: 'warn', result: 'unanswered', title: t('door.failed'), text: t('door.unanswered'), isUnanswered: true };
  return { kind: 'warn', result: error.code ?? 'failed', title: t('door.failed'), text: errorMessage(error) };
}

function ticketDetails(ticket) {
  return joined([ticket?.seat?.label ?? ticket?.seat, ticket?.ticket_type?.name ?? ticket?.name, ticket?.holder_name]);
}

function firstScan(error, zone) {
  const first = error.errors[0] ?? {};
  return { time: first.first_scanned_at ? formatTime(first.first_scanned_at, zone) : '', gate: first.gate ?? '' };
}
