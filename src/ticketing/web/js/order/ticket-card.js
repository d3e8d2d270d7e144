// A ticket: its QR code in a size that scanners read well, on white in every theme, the seat, and a form to transfer it.

import { post } from '../api/client.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { errorMessage } from '../ui/error-messages.js';
import { loadImage } from '../ui/file-download.js';
import { icon } from '../ui/icons.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

export function ticketCard(ticket, order) {
  const seat = ticket.seat?.label ?? ticket.seat ?? null;
  const name =
    seat ??
    ticket.name ??
    ticket.ticket_type?.name ??
    order.lines?.find((line) => line.ticket_type_id === ticket.ticket_type_id)?.name ??
    t('ticket.general');
  const status = ticket.status === 'issued' && ticket.code === null ? 'given' : (ticket.status ?? 'issued');
  const place = el('div', { class: 'qr', dataset: { testid: 'qr' } });
  if (status === 'issued') showCode(place, ticket, name);
  return el(
    'article',
    { class: `ticket is-${status}`, dataset: { testid: 'ticket', ticket: ticket.id, seat: seat ?? '', code: ticket.code ?? '' } },
    place,
    el('h2', {}, seatText(seat) ?? name),
    el(
      'p',
      { class: 'muted' },
      joined([seat && (ticket.name ?? ticket.ticket_type?.name), t(`ticket.${status}`)]),
    ),
    status === 'issued' && transferForm(ticket),
  );
}

async function showCode(place, ticket, name) {
  const image = el('img', { alt: t('order.qr', { name }), width: 220, height: 220, dataset: { testid: 'qr-image' } });
  fill(place, image);
  try {
    await loadImage(image, `/tickets/${ticket.id}/qr.svg`);
  } catch (error) {
    fill(place, el('p', { class: 'muted small-text' }, errorMessage(error)));
  }
}

/** Turns the label "Stalls-A-12" into a text with section, row and seat. */
function seatText(label) {
  const parts = label?.split('-') ?? [];
  if (parts.length < 3) return label;
  return t('seat.long', { section: parts.slice(0, -2).join('-'), row: parts.at(-2), seat: parts.at(-1) });
}

function transferForm(ticket) {
  const form = el(
    'form',
    { class: 'stack' },
    el(
      'label',
      { class: 'field' },
      el('span', {}, t('order.transfer_to')),
      el('input', { name: 'email', type: 'email', required: true, autocomplete: 'off' }),
    ),
    el('button', { class: 'button small' }, t('order.transfer_go')),
  );
  const details = el('details', { class: 'transfer' }, el('summary', {}, icon('send', 18), t('order.transfer')), form);
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const email = form.elements.namedItem('email').value.trim();
    try {
      await post(`/tickets/${ticket.id}/transfer`, { email });
      fill(details.closest('.ticket'), el('p', {}, t('order.transferred', { email })));
    } catch (error) {
      showNotice(errorMessage(error), { kind: 'bad' });
    }
  });
  return details;
}
