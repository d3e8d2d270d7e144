// /door: checks in tickets; the result is large enough to read at arm's length. Hand scanners type the code and Enter.

import { ensureLogin } from '../account/login-form.js';
import { get, getPage } from '../api/client.js';
import { createStats } from '../door/door-stats.js';
import { scannerButton } from '../door/qr-scanner.js';
import { createScans } from '../door/scans.js';
import { createVerdict } from '../door/verdict.js';
import { el, fill } from '../lib/dom.js';
import { trackLatest } from '../lib/latest.js';
import { persistentStorage } from '../lib/storage.js';
import { options } from '../ui/form-controls.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const GATE = 'ticketing.gate';

export async function open(main) {
  if (!(await ensureLogin(t('login.to_see')))) return location.assign('/');
  const orgs = await get('/orgs?limit=100');
  if (orgs.length === 0)
    return fill(main, el('section', { class: 'narrow' }, el('h1', {}, t('door.title')), el('p', {}, t('door.staff_only'))));
  const org = el(
    'select',
    { dataset: { testid: 'door-org' } },
    options(
      orgs.map(({ id, name }) => [id, name]),
      persistentStorage.get('ticketing.organization') ?? orgs[0].id,
    ),
  );
  const event = el('select', { dataset: { testid: 'door-event' } });
  const checkInForm = createCheckInForm(org, event);
  org.addEventListener('change', () => loadEvents(org, event, checkInForm));
  event.addEventListener('change', checkInForm.changeEvent);
  // A scanner may send a code as soon as the field exists, so the event is selected first.
  await loadEvents(org, event, checkInForm);
  const field = (key, control) => el('label', { class: 'field' }, el('span', {}, t(key)), control);
  fill(
    main,
    el(
      'section',
      { class: 'door' },
      el('h1', {}, t('door.title')),
      el(
        'div',
        { class: 'form-grid' },
        field('console.organization', org),
        field('door.event', event),
        field('door.gate', checkInForm.gate),
      ),
      checkInForm.stats.offline.note,
      checkInForm.form,
      checkInForm.scanner,
      checkInForm.verdict.current,
      checkInForm.verdict.earlier,
      checkInForm.stats.line,
    ),
  );
  // Without awaiting anything first: a later focus change would interrupt typing.
  return checkInForm.form.elements.namedItem('code').focus();
}

const beginLoading = trackLatest();

async function loadEvents(org, event, checkInForm) {
  const isLatest = beginLoading();
  fill(event);
  checkInForm.changeEvent();
  const { data } = await getPage(`/orgs/${org.value}/events?limit=100`);
  if (!isLatest()) return;
  const open = data.filter(({ status }) => status === 'published');
  fill(
    event,
    open.map(({ id, title, timezone }) => el('option', { value: id, dataset: { zone: timezone } }, title)),
  );
  if (open.length === 0) showNotice(t('door.no_event'));
  await checkInForm.changeEvent();
}

function createCheckInForm(org, event) {
  const gate = el('input', { value: persistentStorage.get(GATE) ?? '', maxlength: 50, dataset: { testid: 'door-gate' } });
  gate.addEventListener('change', () => persistentStorage.set(GATE, gate.value.trim()));
  const path = () => event.value && `/orgs/${org.value}/events/${event.value}/check-ins`;
  const [verdict, stats] = [createVerdict(), createStats(path)];
  const scans = createScans(verdict.show);
  const check = async (code) => {
    if (!path()) return showNotice(t('door.no_event'));
    const result = await scans.check(path(), code, gate.value.trim(), event.selectedOptions[0]?.dataset.zone);
    if (result?.isUnanswered) stats.offline.show(true);
    return stats.refresh();
  };
  const changeEvent = () => {
    scans.clear();
    return stats.reset();
  };
  return { gate, form: codeForm(check), scanner: scannerButton(check), verdict, stats, changeEvent };
}

function codeForm(check) {
  const code = el('input', {
    name: 'code',
    required: true,
    autocomplete: 'off',
    autocapitalize: 'off',
    spellcheck: 'false',
    dataset: { testid: 'code-input' },
  });
  const form = el(
    'form',
    { class: 'door-form' },
    el('label', { class: 'field' }, el('span', {}, t('door.code')), code),
    el('button', { class: 'button primary', dataset: { testid: 'check-in' } }, t('door.check')),
  );
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    check(code.value.trim());
    code.value = '';
    code.focus();
  });
  return form;
}
