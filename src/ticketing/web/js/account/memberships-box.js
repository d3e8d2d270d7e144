// The box on /me with the organizations that the user works for or is invited to.

import { get, post, remove } from '../api/client.js';
import { joined } from '../lib/directions.js';
import { el, fill } from '../lib/dom.js';
import { errorMessage } from '../ui/error-messages.js';
import { showNotice } from '../ui/notice.js';
import { t } from '../words/translate.js';

/** The box for the response to `/me`, or null if there is no organization to show. */
export async function membershipsBox(me) {
  const box = el('section', { class: 'box stack', dataset: { testid: 'memberships' } });
  return (await draw(box, me)) ? box : null;
}

async function draw(box, me) {
  const invitations = await get('/me/invitations');
  const change = (work) => async () => {
    try {
      await work();
      await draw(box, await get('/me'));
    } catch (error) {
      showNotice(errorMessage(error), { kind: 'bad' });
    }
  };
  const rows = [
    ...invitations.map((each) => invitationRow(each, change)),
    ...me.memberships.map((each) => membershipRow(each, me.id, change)),
  ];
  fill(box, el('h2', {}, t('memberships.title')), rows);
  return rows.length > 0;
}

function invitationRow({ id, organization, role }, change) {
  const path = `/me/invitations/${id}`;
  return row(
    t('invitation.offer', { name: organization.name, role: t(`role.${role}`) }),
    button('accept', t('invitation.accept'), change(() => post(`${path}/accept`))),
    button('decline', t('invitation.decline'), change(() => remove(path))),
  );
}

function membershipRow({ organization, role }, userId, change) {
  const leave = async () => {
    if (!confirm(t('memberships.leave_sure', { name: organization.name }))) return;
    await remove(`/orgs/${organization.id}/members/${userId}`);
  };
  return row(joined([organization.name, t(`role.${role}`)]), button('leave', t('memberships.leave'), change(leave)));
}

const row = (text, ...buttons) => el('div', { class: 'stack' }, el('p', {}, text), el('div', { class: 'buttons' }, buttons));

const button = (testid, text, onclick) =>
  el('button', { type: 'button', class: 'button small', dataset: { testid: `membership-${testid}` }, onclick }, text);
