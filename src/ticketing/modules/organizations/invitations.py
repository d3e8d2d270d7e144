"""Invitations: a membership begins when the invited person accepts it, and until then nothing is known about them.

Neither the response nor the time of an invitation depends on whether its address has an account. A role of admin that
was given to a member is accepted likewise: only then does the organization count on that admin to stay.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, tenancy
from ticketing.infra.errors import Conflict, NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import iam
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import InvitationEnded, MemberAdded, MemberInvited
from ticketing.modules.organizations.models import Invitation, Member, Organization, Role
from ticketing.modules.organizations.permissions import Access, refuse_above
from ticketing.modules.organizations.queries import find_role
from ticketing.modules.organizations.quotas import Quota, check_quota
from ticketing.modules.organizations.service import lock_organization

LIFETIME = timedelta(days=14)
#: The purpose of the emailed link: see `iam.write_token`.
PURPOSE = "invitation"
#: Bound of an unpaged list.
INVITATIONS_MAX = 100
CLEAN_ROWS = 5000


class AlreadyMember(Conflict):
    """This person is a member already."""

    code = "already_member"


class OtherAddress(Conflict):
    """This invitation is for another e-mail address: log in with the account of that address."""

    code = "invitation_for_other_address"


async def invite(session: AsyncSession, access: Access, email: str, role: Role) -> Invitation:
    """Invite an address; an invitation that it has already is replaced. An email with a link follows.

    Raises:
        AlreadyMember, RoleTooHigh.
        QuotaExceeded: the organization has as many members and open invitations as it may have members.
    """
    refuse_above(access, role)
    await lock_organization(session, access.organization_id)
    user = await iam.find_user(session, email)
    if user is not None and await find_role(session, access.organization_id, user.id) is not None:
        raise AlreadyMember(field="email")
    invitation = await add_invitation(session, access, iam.normalize_email(email), role)
    await check_quota(session, Quota.MEMBERS, access.organization_id, _count_members(access.organization_id))
    return invitation


def _count_members(organization_id: UUID) -> Select[int]:
    members = select(func.count()).where(Member.organization_id == organization_id)
    invited = select(func.count()).where(Invitation.organization_id == organization_id, is_open())
    return select(members.scalar_subquery() + invited.scalar_subquery())


async def add_invitation(session: AsyncSession, access: Access, address: str, role: Role) -> Invitation:
    """Write the invitation of a normalized address, with its message and audit entry."""
    fields = {"role": role, "invited_by": access.user_id, "expires_at": func.now() + LIFETIME}
    row = insert(Invitation).values(id=new_id(), organization_id=access.organization_id, email=address, **fields)
    row = row.on_conflict_do_update(index_elements=["organization_id", "email"], set_={"id": row.excluded.id, **fields})
    invitation = (await session.scalars(row.returning(Invitation))).one()
    record(session, access, "member.invited", f"invitation:{invitation.id}", None, {"role": role})
    outbox.publish(session, MemberInvited(organization_id=access.organization_id, invitation_id=invitation.id))
    return invitation


async def list_invitations(session: AsyncSession, organization_id: UUID, page: PageQuery) -> Sequence[Invitation]:
    """Return up to `limit + 1` open invitations of an organization, oldest first."""
    query = select(Invitation).where(Invitation.organization_id == organization_id, is_open()).order_by(Invitation.id)
    if page.after is not None:
        query = query.where(Invitation.id > page.after_id())
    return (await session.scalars(query.limit(page.limit + 1))).all()


async def list_mine(session: AsyncSession, user_id: UUID) -> list[tuple[Invitation, Organization]]:
    """Return the open invitations of a person's verified address; of an unverified one, none."""
    user = await iam.get_user(session, user_id)
    if user.email_verified_at is None:
        return []
    query = select(Invitation).where(Invitation.email == user.email_normalized, is_open()).order_by(Invitation.id)
    found = []
    for invitation in (await session.scalars(query.limit(INVITATIONS_MAX))).all():
        await tenancy.enter(session, invitation.organization_id)
        found.append((invitation, await session.get_one(Organization, invitation.organization_id)))
    return found


async def read_link(session: AsyncSession, token: str) -> tuple[Invitation, Organization]:
    """Return the invitation of an emailed link, and enter its organization. Raises iam.LinkInvalid."""
    invitation_id = iam.read_token(token, PURPOSE)
    if await tenancy.enter_by(session, "organization_of_invitation", str(invitation_id)) is None:
        raise iam.LinkInvalid(field="token")
    invitation = await session.scalar(select(Invitation).where(Invitation.id == invitation_id, is_open()))
    if invitation is None:
        raise iam.LinkInvalid(field="token")
    return invitation, await session.get_one(Organization, invitation.organization_id)


async def accept_link(session: AsyncSession, person: iam.Identity, token: str) -> tuple[Member, Organization]:
    """Accept with an emailed link, which proves the address. Raises iam.LinkInvalid, OtherAddress."""
    invitation, organization = await read_link(session, token)
    user = await iam.get_user(session, person.user_id)
    if user.email_normalized != invitation.email:
        raise OtherAddress
    return await _accept(session, person, invitation), organization


async def accept_mine(session: AsyncSession, person: iam.Identity, invitation_id: UUID) -> tuple[Member, Organization]:
    """Accept an invitation of the caller's verified address. Raises NotFound."""
    invitation, organization = await _find_mine(session, person, invitation_id)
    return await _accept(session, person, invitation), organization


async def decline(session: AsyncSession, person: iam.Identity, invitation_id: UUID) -> None:
    """Decline an invitation of the caller's verified address. Raises NotFound."""
    invitation, _ = await _find_mine(session, person, invitation_id)
    access = Access(invitation.organization_id, person.actor, person.user_id, Role(invitation.role))
    await end_invitations(session, access, Invitation.id == invitation_id, "invitation.declined")


async def withdraw(session: AsyncSession, access: Access, invitation_id: UUID) -> None:
    """Withdraw an invitation. Raises NotFound."""
    if not await end_invitations(session, access, Invitation.id == invitation_id, "invitation.withdrawn"):
        raise NotFound


async def end_invitations(session: AsyncSession, access: Access, which: ColumnElement[bool], action: str) -> bool:
    """Delete these invitations of the caller's organization; False if there is none."""
    ended = delete(Invitation).where(Invitation.organization_id == access.organization_id, which)
    rows = (await session.execute(ended.returning(Invitation.id, Invitation.role))).all()
    for invitation_id, role in rows:
        record(session, access, action, f"invitation:{invitation_id}", {"role": role}, None)
        outbox.publish(session, InvitationEnded(organization_id=access.organization_id, invitation_id=invitation_id))
    return bool(rows)


async def find_address(session: AsyncSession, invitation_id: UUID) -> str | None:
    """Return the invited address; None when the invitation has ended. For workers, who see every tenant."""
    return await session.scalar(select(Invitation.email).where(Invitation.id == invitation_id, is_open()))


async def clean_invitations(session: AsyncSession) -> int:
    """Delete up to CLEAN_ROWS expired invitations and return their number."""
    old = select(Invitation.id).where(~is_open()).limit(CLEAN_ROWS).with_for_update(skip_locked=True)
    deleted = delete(Invitation).where(Invitation.id.in_(old)).returning(Invitation.id)
    return len((await session.scalars(deleted)).all())


def is_open() -> ColumnElement[bool]:
    return Invitation.expires_at > func.now()


async def _find_mine(
    session: AsyncSession, person: iam.Identity, invitation_id: UUID
) -> tuple[Invitation, Organization]:
    for invitation, organization in await list_mine(session, person.user_id):
        if invitation.id == invitation_id:
            await tenancy.enter(session, organization.id)
            return invitation, organization
    raise NotFound


async def _accept(session: AsyncSession, person: iam.Identity, invitation: Invitation) -> Member:
    """The caller has entered the organization. A second request waits for the lock and finds no invitation."""
    await lock_organization(session, invitation.organization_id)
    taken = delete(Invitation).where(Invitation.id == invitation.id, is_open()).returning(Invitation.role)
    role = await session.scalar(taken)
    if role is None:
        raise iam.LinkInvalid(field="token")
    ids = {"organization_id": invitation.organization_id, "user_id": person.user_id}
    accepted_at = func.now() if role == Role.ORG_ADMIN else None
    row = insert(Member).values(**ids, role=role, admin_accepted_at=accepted_at)
    member = (await session.scalars(row.on_conflict_do_nothing().returning(Member))).one_or_none()
    access = Access(invitation.organization_id, person.actor, person.user_id, Role(role))
    if member is None:  # a member who was made an admin, and now accepts it
        is_it = (Member.organization_id == invitation.organization_id) & (Member.user_id == person.user_id)
        accept = update(Member).where(is_it, Member.role == role).values(admin_accepted_at=accepted_at)
        await session.execute(accept)
        record(session, access, "member.role_accepted", f"user:{person.user_id}", None, {"role": role})
        return await session.get_one(Member, (invitation.organization_id, person.user_id), populate_existing=True)
    record(session, access, "member.added", f"user:{person.user_id}", None, {"role": role})
    outbox.publish(session, MemberAdded(**ids, role=Role(role)))
    return member
