// /door: checks in tickets; the result is large enough to read at arm's length. Hand scanners type the code and Enter.

import { ensureLogin } from '../account/login-form.js';
import { get, getPage, post } from '../api/client.js';
import { randomKey } from '../api/idempotency.js';
import { checkInResult } from '../door/check-in-result.js';
import { scannerButton } from '../door/qr-scanner.js';
import { el, fill } from '../lib/dom.js';
import { persistentStorage } from '../lib/storage.js';
import { options } from '../ui/form-controls.js';
import { icon } from '../ui/icons.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

const STATS_MS = 5000;
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
  event.addEventListener('change', checkInForm.showStats);
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
      checkInForm.form,
      checkInForm.scanner,
      checkInForm.result,
      checkInForm.stats,
    ),
  );
  setInterval(checkInForm.showStats, STATS_MS);
  // Without awaiting anything first: a later focus change would interrupt typing.
  return checkInForm.form.elements.namedItem('code').focus();
}

async function loadEvents(org, event, checkInForm) {
  const { data } = await getPage(`/orgs/${org.value}/events?limit=100`);
  const open = data.filter(({ status }) => status === 'published');
  fill(
    event,
    open.map(({ id, title, timezone }) => el('option', { value: id, dataset: { zone: timezone } }, title)),
  );
  if (open.length === 0) showNotice(t('door.no_event'));
  await checkInForm.showStats();
}

function createCheckInForm(org, event) {
  const gate = el('input', { value: persistentStorage.get(GATE) ?? '', maxlength: 50, dataset: { testid: 'door-gate' } });
  gate.addEventListener('change', () => persistentStorage.set(GATE, gate.value.trim()));
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
  const result = el('div', {
    class: 'door-result',
    role: 'status',
    'aria-live': 'assertive',
    dataset: { testid: 'check-result', result: '' },
  });
  const stats = el('p', { class: 'muted centred', dataset: { testid: 'door-stats' } });
  const path = () => `/orgs/${org.value}/events/${event.value}/check-ins`;
  const showStats = async () => {
    const numbers = event.value ? await get(`${path()}/stats`).catch(() => null) : null;
    if (numbers) stats.textContent = statsText(numbers);
  };
  const check = async (text) => {
    const body = { code: text, ...(gate.value.trim() && { gate: gate.value.trim() }) };
    showResult(result, await scan(path(), body, event.selectedOptions[0]?.dataset.zone));
    showStats();
  };
  form.addEventListener('submit', (submitted) => {
    submitted.preventDefault();
    check(code.value.trim());
    code.value = '';
    code.focus();
  });
  return { gate, form, result, stats, showStats, scanner: scannerButton(check) };
}

/** The nonce identifies the scan: a retried request is the same scan, a second scan of the same ticket is not. */
async function scan(path, body, zone) {
  try {
    return checkInResult(await post(path, { ...body, nonce: randomKey() }), null, zone);
  } catch (error) {
    return checkInResult(null, error, zone);
  }
}

function showResult(host, { kind, result, title, text }) {
  host.className = `door-result ${kind}`;
  host.dataset.result = result;
  fill(host, icon(kind === 'good' ? 'check' : 'cross', 56), el('h2', {}, title), text && el('p', {}, text));
}

function statsText(numbers) {
  return t('door.inside', { inside: numbers.checked_in ?? 0, issued: numbers.issued ?? 0 });
}
