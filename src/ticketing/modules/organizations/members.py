"""Members of a tenant. Changes are serialized by a lock on the tenant's row, so that an admin always remains."""

from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.errors import Conflict, Forbidden, Invalid, NotFound
from ticketing.modules import iam
from ticketing.modules.organizations.api_keys import revoke_keys_made_by
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import MemberAdded, MemberRemoved, MemberRoleChanged
from ticketing.modules.organizations.models import Member, Role
from ticketing.modules.organizations.permissions import Access, roles_above
from ticketing.modules.organizations.service import lock_organization


class AlreadyMember(Conflict):
    """This person is a member already."""

    code = "already_member"


class LastAdmin(Conflict):
    """An organization needs an admin: make another member an admin first."""

    code = "last_admin"


class RoleTooHigh(Forbidden):
    """You cannot grant or remove a role above your own."""


class NotRegistered(Invalid):
    """There is no account with this e-mail address: this person has to register first."""


async def add_member(session: AsyncSession, access: Access, email: str, role: Role) -> tuple[Member, iam.User]:
    """Add a registered user with a role. Raises NotRegistered, AlreadyMember, RoleTooHigh."""
    _refuse_above(access, role)
    user = await iam.find_user(session, email)
    if user is None:
        raise NotRegistered(field="email")
    row = insert(Member).values(organization_id=access.organization_id, user_id=user.id, role=role)
    member = (await session.scalars(row.on_conflict_do_nothing().returning(Member))).one_or_none()
    if member is None:
        raise AlreadyMember(field="email")
    record(session, access, "member.added", f"user:{user.id}", None, {"role": role})
    outbox.publish(session, MemberAdded(organization_id=access.organization_id, user_id=user.id, role=role))
    return member, user


async def change_role(session: AsyncSession, access: Access, user_id: UUID, role: Role) -> Member:
    """Change the role of a member, and revoke the keys above it that they made.

    Raises:
        NotFound, LastAdmin, RoleTooHigh.
    """
    member = await _lock_member(session, access, user_id)
    before = Role(member.role)
    if before == role:
        return member
    _refuse_above(access, before, role)
    await _keep_an_admin(session, member)
    await session.execute(update(Member).where(_is(member)).values(role=role))
    record(session, access, "member.role_changed", f"user:{user_id}", {"role": before}, {"role": role})
    await revoke_keys_made_by(session, access, user_id, roles_above(role))
    outbox.publish(session, MemberRoleChanged(organization_id=access.organization_id, user_id=user_id, role=role))
    return member


async def remove_member(session: AsyncSession, access: Access, user_id: UUID) -> None:
    """End a membership, and revoke the keys that the member made: they know their text.

    Raises:
        NotFound, LastAdmin, RoleTooHigh.
    """
    member = await _lock_member(session, access, user_id)
    _refuse_above(access, Role(member.role))
    await _keep_an_admin(session, member)
    await session.execute(delete(Member).where(_is(member)))
    record(session, access, "member.removed", f"user:{user_id}", {"role": Role(member.role)}, None)
    await revoke_keys_made_by(session, access, user_id, Role)
    outbox.publish(session, MemberRemoved(organization_id=access.organization_id, user_id=user_id))


def _refuse_above(access: Access, *roles: Role) -> None:
    if not all(access.can_grant(role) for role in roles):
        raise RoleTooHigh


async def _lock_member(session: AsyncSession, access: Access, user_id: UUID) -> Member:
    # The tenant's row, not the member's: two admins who demote each other would lock different rows, and each would
    # count the other as the remaining admin.
    await lock_organization(session, access.organization_id)
    member = await session.get(Member, (access.organization_id, user_id), populate_existing=True)
    if member is None:
        raise NotFound
    return member


async def _keep_an_admin(session: AsyncSession, leaving: Member) -> None:
    if leaving.role != Role.ORG_ADMIN:
        return
    others = (Member.organization_id == leaving.organization_id) & (Member.user_id != leaving.user_id)
    if not await session.scalar(select(exists().where(others, Member.role == Role.ORG_ADMIN))):
        raise LastAdmin


def _is(member: Member) -> ColumnElement[bool]:
    return (Member.organization_id == member.organization_id) & (Member.user_id == member.user_id)
