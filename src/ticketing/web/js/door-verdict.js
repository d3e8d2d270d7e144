// What the door says about a scan: welcome, already inside, or why not.

import { sorry } from './sorry.js';
import { clockTime } from './when.js';
import { t } from './words.js';

const REFUSALS = { already_checked_in: 'warn', voided: 'bad', wrong_event: 'bad', invalid_code: 'bad' };

/** Gives `{kind, result, title, text}` from the answer or the error of a check-in. */
export function verdictOf(answer, error) {
  if (answer) return { kind: 'good', result: answer.result ?? 'admitted', title: t('door.admitted'), text: placeOf(answer.ticket) };
  const kind = REFUSALS[error.code];
  if (error.code === 'already_checked_in') return { kind, result: error.code, title: t('door.already'), text: t('door.already_text', firstScan(error)) };
  if (kind) return { kind, result: error.code, title: t(`door.${short(error.code)}`), text: t(`door.${short(error.code)}_text`) };
  return { kind: 'warn', result: error.code ?? 'failed', title: t('door.failed'), text: sorry(error) };
}

const short = (code) => (code === 'invalid_code' ? 'invalid' : code);

function placeOf(ticket) {
  return [ticket?.seat?.label ?? ticket?.seat, ticket?.ticket_type?.name ?? ticket?.name, ticket?.holder_name].filter(Boolean).join(' · ');
}

function firstScan(error) {
  const first = error.errors[0] ?? {};
  const at = first.checked_in_at ?? first.first_at ?? first.at;
  return { time: at ? clockTime(at) : '', gate: first.gate ?? first.first_gate ?? '' };
}
