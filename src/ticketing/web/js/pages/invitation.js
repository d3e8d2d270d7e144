// /account/invitation#token: shows an invitation to an organization, and accepts it for the account that is logged in.

import { clearLinkToken, linkToken, outcomeView, submitForm } from '../account/email-link.js';
import { loginForm } from '../account/login-form.js';
import { get, post } from '../api/client.js';
import { currentUser } from '../api/session.js';
import { el, fill } from '../lib/dom.js';
import { t } from '../words/translate.js';

export async function open(main) {
  const token = linkToken();
  const path = `/invitations/${encodeURIComponent(token)}`;
  const invitation = token ? await get(path, { anonymous: true }).catch(() => null) : null;
  if (!invitation) return fill(main, outcomeView(t('invitation.title'), t('invitation.ended')));
  const draw = () => fill(main, el('section', { class: 'narrow stack' }, head(invitation), action(main, token, draw)));
  return draw();
}

function head(invitation) {
  const offer = t('invitation.offer', { name: invitation.organization.name, role: t(`role.${invitation.role}`) });
  return [el('h1', {}, t('invitation.title')), el('p', { dataset: { testid: 'invitation-offer' } }, offer)];
}

function action(main, token, draw) {
  if (!currentUser()) return [el('p', { class: 'muted' }, t('invitation.login')), loginForm(draw)];
  return submitForm(t('invitation.accept'), async () => {
    const { organization } = await post(`/invitations/${encodeURIComponent(token)}/accept`);
    clearLinkToken();
    const text = t('invitation.done', { name: organization.name });
    fill(main, outcomeView(t('invitation.done_title'), text, ['/me', t('nav.mine')]));
  });
}
