// A form field for a time in a given zone, which the field names, and the line that shows how the time was read.

import { formatLongDateTime, zoneLabel } from '../lib/dates.js';
import { el, setText } from '../lib/dom.js';
import { momentsOf } from '../lib/zoned-time.js';
import { t } from '../words/translate.js';

/**
 * A labelled datetime-local field. `zone()` returns the IANA name of the zone in which the time is meant; call
 * `refresh` when it changes. The form cannot be sent with a time that the zone's clock skips.
 */
export function timeField(name, label, zone, attributes = {}) {
  const shown = el('output', { id: `${name}-read`, class: 'muted small-text', dataset: { testid: `${name}-read` } });
  const control = el('input', { name, type: 'datetime-local', 'aria-describedby': shown.id, ...attributes });
  const caption = el('span');
  const refresh = () => {
    const moments = control.value ? momentsOf(control.value, zone()) : [];
    const isSkipped = control.value !== '' && moments.length === 0;
    const skipped = isSkipped ? t('time.skipped') : '';
    setText(caption, `${label} (${zoneLabel(zone())})`);
    control.setCustomValidity(skipped);
    const read = formatLongDateTime(moments[0], zone());
    setText(shown, skipped || (moments.length > 1 ? t('time.twice', { time: read }) : read));
  };
  control.addEventListener('input', refresh);
  refresh();
  return {
    field: el('label', { class: 'field' }, caption, control),
    shown,
    refresh,
    /** The moment in RFC 3339; the first of two. Undefined for an empty field. */
    read: () => (control.value ? momentsOf(control.value, zone())[0] : undefined),
  };
}
