// The move of an event to the latest plan of its venue: what would change, then the button that does it.

import { post } from '../api/client.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { runWithNotice } from '../ui/form-controls.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

/** Fills `body`; `refresh` is called after the event was moved. */
export async function drawChanges(org, event, body, refresh) {
  const path = `/orgs/${org.id}/events/${event.id}/seats/sync`;
  const { plan_version: version, changes } = await post(`${path}?dry_run=true`);
  const isSame = !(changes.added || changes.removed || changes.recategorized || changes.lost_count);
  if (isSame && version === event.plan_version) return fill(body, el('p', { class: 'muted' }, t('plan.current', { version })));
  const move = async () => {
    await post(path);
    showNotice(t('plan.moved', { version }), { kind: 'good' });
    await refresh();
  };
  const button = el(
    'button',
    { type: 'button', class: 'button primary', dataset: { testid: 'plan-move' }, onclick: () => runWithNotice(move) },
    t('plan.move', { version }),
  );
  return fill(body, el('ul', { class: 'notes' }, describe(changes)), changes.is_possible && el('div', {}, button));
}

function describe(changes) {
  const lost = changes.lost.map(({ label, status }) => `${label} (${t(`state.${status}`)})`);
  const more = changes.lost_count - lost.length;
  return [
    t('plan.kept', { count: changes.kept }),
    changes.added > 0 && t('plan.added', { count: changes.added }),
    changes.removed > 0 && t('plan.removed', { count: changes.removed, blocked: changes.removed_blocked }),
    changes.recategorized > 0 && t('plan.recategorized', { count: changes.recategorized }),
    lost.length > 0 && joined([t('plan.lost'), joined(lost, ', '), more > 0 && t('plan.more', { count: more })], ' '),
    changes.unpriced.length > 0 && joined([t('plan.unpriced'), joined(changes.unpriced, ', ')], ' '),
  ]
    .filter(Boolean)
    .map((line) => el('li', {}, line));
}
