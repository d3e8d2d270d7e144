"""Who works for a tenant. There is always an admin: changes of members wait for each other on the tenant's row."""

from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.errors import Conflict, Forbidden, Invalid, NotFound
from ticketing.modules import iam
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import MemberAdded, MemberRemoved, MemberRoleChanged
from ticketing.modules.organizations.models import Member, Role
from ticketing.modules.organizations.permissions import Access
from ticketing.modules.organizations.service import lock_organization


class AlreadyMember(Conflict):
    """This person is a member already."""

    code = "already_member"


class LastAdmin(Conflict):
    """An organization needs an admin: make somebody else one first."""

    code = "last_admin"


class AboveYou(Forbidden):
    """This role is not yours to give or to take: nobody grants above themselves, and a key makes no admins."""


class NotRegistered(Invalid):
    """Nobody has registered with this e-mail address: this person has to register first."""


async def add_member(session: AsyncSession, access: Access, email: str, role: Role) -> tuple[Member, iam.User]:
    """Give a registered person a role. Raises NotRegistered, AlreadyMember, AboveYou."""
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
    """Raises NotFound, LastAdmin, AboveYou."""
    member = await _lock_member(session, access, user_id)
    before = Role(member.role)
    if before == role:
        return member
    _refuse_above(access, before, role)
    await _keep_an_admin(session, member)
    await session.execute(update(Member).where(_is(member)).values(role=role))
    record(session, access, "member.role_changed", f"user:{user_id}", {"role": before}, {"role": role})
    outbox.publish(session, MemberRoleChanged(organization_id=access.organization_id, user_id=user_id, role=role))
    return member


async def remove_member(session: AsyncSession, access: Access, user_id: UUID) -> None:
    """Raises NotFound, LastAdmin, AboveYou."""
    member = await _lock_member(session, access, user_id)
    _refuse_above(access, Role(member.role))
    await _keep_an_admin(session, member)
    await session.execute(delete(Member).where(_is(member)))
    record(session, access, "member.removed", f"user:{user_id}", {"role": Role(member.role)}, None)
    outbox.publish(session, MemberRemoved(organization_id=access.organization_id, user_id=user_id))


def _refuse_above(access: Access, *roles: Role) -> None:
    if not all(access.can_grant(role) for role in roles):
        raise AboveYou


async def _lock_member(session: AsyncSession, access: Access, user_id: UUID) -> Member:
    # The whole tenant and not the member's row: two admins who demote each other lock different rows, and each would
    # see the other as the admin who stays.
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
