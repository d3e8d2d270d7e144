"""Members of a tenant. Changes are serialized by a lock on the tenant's row, so that an admin always remains."""

from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.errors import Conflict, NotFound
from ticketing.modules import iam
from ticketing.modules.organizations.api_keys import revoke_keys_made_by
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.invitations import add_invitation, end_invitations
from ticketing.modules.organizations.messages import MemberRemoved, MemberRoleChanged
from ticketing.modules.organizations.models import Invitation, Member, Role
from ticketing.modules.organizations.permissions import Access, refuse_above, roles_above
from ticketing.modules.organizations.service import lock_organization


class LastAdmin(Conflict):
    """An organization needs an admin: make another member an admin first, who accepts it."""

    code = "last_admin"


async def change_role(session: AsyncSession, access: Access, user_id: UUID, role: Role) -> Member:
    """Change the role of a member, and revoke the keys above it that they made.

    A new admin is asked to accept: until then the organization needs another, so that being made the last admin binds
    only those who have agreed to it.

    Raises:
        NotFound, LastAdmin, RoleTooHigh.
    """
    member = await _lock_member(session, access, user_id)
    before = Role(member.role)
    if before == role:
        return member
    refuse_above(access, before, role)
    await _keep_an_admin(session, member)
    await session.execute(update(Member).where(_is(member)).values(role=role, admin_accepted_at=None))
    record(session, access, "member.role_changed", f"user:{user_id}", {"role": before}, {"role": role})
    await revoke_keys_made_by(session, access, user_id, roles_above(role))
    await _end_invitations(session, access, user_id)
    if role == Role.ORG_ADMIN:
        user = await iam.get_user(session, user_id)
        await add_invitation(session, access, user.email_normalized, role)
    outbox.publish(session, MemberRoleChanged(organization_id=access.organization_id, user_id=user_id, role=role))
    return member


async def remove_member(session: AsyncSession, access: Access, user_id: UUID) -> None:
    """End a membership, and revoke the keys that the member made: they know their text.

    Raises:
        NotFound, LastAdmin, RoleTooHigh.
    """
    member = await _lock_member(session, access, user_id)
    if user_id != access.user_id:
        refuse_above(access, Role(member.role))
    await _keep_an_admin(session, member)
    await session.execute(delete(Member).where(_is(member)))
    record(session, access, "member.removed", f"user:{user_id}", {"role": Role(member.role)}, None)
    await revoke_keys_made_by(session, access, user_id, Role)
    await _end_invitations(session, access, user_id)
    outbox.publish(session, MemberRemoved(organization_id=access.organization_id, user_id=user_id))


async def _end_invitations(session: AsyncSession, access: Access, user_id: UUID) -> None:
    """End the invitations of a person, and those that they made."""
    user = await iam.get_user(session, user_id)
    theirs = (Invitation.email == user.email_normalized) | (Invitation.invited_by == user_id)
    await end_invitations(session, access, theirs, "invitation.withdrawn")


async def _lock_member(session: AsyncSession, access: Access, user_id: UUID) -> Member:
    # The tenant's row, not the member's: two admins who demote each other would lock different rows, and each would
    # count the other as the remaining admin.
    await lock_organization(session, access.organization_id)
    member = await session.get(Member, (access.organization_id, user_id), populate_existing=True)
    if member is None:
        raise NotFound
    return member


async def _keep_an_admin(session: AsyncSession, leaving: Member) -> None:
    if leaving.role != Role.ORG_ADMIN or leaving.admin_accepted_at is None:
        return
    others = (Member.organization_id == leaving.organization_id) & (Member.user_id != leaving.user_id)
    if not await session.scalar(select(exists().where(others, Member.admin_accepted_at.is_not(None)))):
        raise LastAdmin


def _is(member: Member) -> ColumnElement[bool]:
    return (Member.organization_id == member.organization_id) & (Member.user_id == member.user_id)
