"""Queries for tenants. Callers have checked access."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import DriverReads
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import Forbidden, NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import iam
from ticketing.modules.organizations.models import ApiKey, AuditEntry, Member, Organization, Role
from ticketing.modules.organizations.permissions import HOLDERS, Access, Permission
from ticketing.modules.organizations.schemas import MembershipOut, MeOut, OrganizationBrief

#: Bound of an unpaged list; above the memberships of any user.
MEMBERSHIPS_MAX = 1000

_PERSON = """
select u.email, u.display_name, u.email_verified_at is not null,
       exists (select from second_factors f where f.user_id = u.id and f.confirmed_at is not null),
       exists (select from support_people a where a.user_id = u.id)
  from users u where u.id = %s"""
_MEMBERSHIPS = """
select m.role, o.id, o.name, o.slug
  from members m join organizations o on o.id = m.organization_id
 where m.user_id = %s order by o.id limit %s"""
#: Admins who are told about an event.
ADMINS_MAX = 20


async def find_role(session: AsyncSession, organization_id: UUID, user_id: UUID) -> Role | None:
    """Return the role of a user; None for non-members and for unknown organizations."""
    is_theirs = (Member.organization_id == organization_id) & (Member.user_id == user_id)
    role = await session.scalar(select(Member.role).where(is_theirs))
    return None if role is None else Role(role)


async def lock_membership(session: AsyncSession, access: Access, permission: Permission) -> None:
    """Check a permission of the calling member again, and keep it until the transaction ends.

    What a member makes is revoked with the membership. Without this lock, a key or device whose maker was a member
    when the request began could be committed just after that.

    Raises:
        Forbidden: the membership has ended or lost the permission since the request began.
    """
    is_theirs = (Member.organization_id == access.organization_id) & (Member.user_id == access.user_id)
    role = await session.scalar(select(Member.role).where(is_theirs).with_for_update(read=True))
    if role is None or Role(role) not in HOLDERS[permission]:
        raise Forbidden


async def find_key(session: AsyncSession, key_hash: str) -> ApiKey | None:
    """Return the valid key with this hash, in the tenant that was entered by the same hash."""
    return (await session.scalars(select(ApiKey).where(ApiKey.key_hash == key_hash, is_in_use()))).one_or_none()


def is_in_use() -> ColumnElement[bool]:
    """Whether a key is neither revoked nor expired."""
    return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()))


async def is_allowed(session: AsyncSession, organization_id: UUID, user_id: UUID, permission: Permission) -> bool:
    """Whether a member has the permission; for routes whose path does not name the organization."""
    return await find_role(session, organization_id, user_id) in HOLDERS[permission]


def role_allows(role: str | None, permission: Permission) -> bool:
    """Whether the role of a member, None for others, has the permission."""
    return role is not None and Role(role) in HOLDERS[permission]


async def find_access(session: AsyncSession, organization_id: UUID, user: iam.Identity) -> Access | None:
    """Return the access of a member, None for others; for routes whose path does not name the organization."""
    role = await find_role(session, organization_id, user.user_id)
    return None if role is None else Access(organization_id, user.actor, user.user_id, role)


async def get_organization(session: AsyncSession, organization_id: UUID) -> Organization:
    """Raises NotFound."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise NotFound
    return organization


async def list_organizations(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Organization]:
    """Return the organizations with these ids; unknown ids are left out."""
    organizations = await session.scalars(select(Organization).where(Organization.id.in_(ids)))
    return {organization.id: organization for organization in organizations}


async def list_memberships(
    session: AsyncSession, user_id: UUID, page: PageQuery | None = None
) -> list[tuple[Member, Organization]]:
    """Return a user's memberships, oldest organization first; without a page, all of them."""
    query = select(Member, Organization).join(Organization, Organization.id == Member.organization_id)
    query = query.where(Member.user_id == user_id).order_by(Organization.id)
    if page is not None and page.after is not None:
        query = query.where(Organization.id > page.after_id())
    rows = await session.execute(query.limit(page.limit + 1 if page else MEMBERSHIPS_MAX))
    return [(member, organization) for member, organization in rows]


async def list_members(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[Member]:
    """Return up to `limit + 1` members, in the order of registration."""
    query = select(Member).where(Member.organization_id == organization_id).order_by(Member.user_id)
    if page.after is not None:
        query = query.where(Member.user_id > page.after_id())
    return list(await session.scalars(query.limit(page.limit + 1)))


async def list_admins(session: AsyncSession, organization_id: UUID) -> list[UUID]:
    """Return the users that are admins and have accepted it, up to ADMINS_MAX; for workers."""
    is_admin = (Member.organization_id == organization_id) & (Member.role == Role.ORG_ADMIN)
    query = select(Member.user_id).where(is_admin, Member.admin_accepted_at.is_not(None))
    return list(await session.scalars(query.order_by(Member.created_at, Member.user_id).limit(ADMINS_MAX)))


async def list_keys(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[ApiKey]:
    """Return up to `limit + 1` keys, oldest first, including revoked ones."""
    query = select(ApiKey).where(ApiKey.organization_id == organization_id).order_by(ApiKey.id)
    if page.after is not None:
        query = query.where(ApiKey.id > page.after_id())
    return list(await session.scalars(query.limit(page.limit + 1)))


async def list_audit(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[AuditEntry]:
    """Return up to `limit + 1` entries, newest first."""
    query = select(AuditEntry).where(AuditEntry.organization_id == organization_id).order_by(AuditEntry.id.desc())
    if page.after is not None:
        query = query.where(AuditEntry.id < page.after_id())
    return list(await session.scalars(query.limit(page.limit + 1)))


async def describe_me(reads: DriverReads, user_id: UUID) -> MeOut:
    """The caller's account and memberships, in one round trip. Raises UserUnknown."""
    async with reads.round_trip() as connection:
        person = await send(connection, _PERSON, user_id)
        memberships = await send(connection, _MEMBERSHIPS, user_id, MEMBERSHIPS_MAX)
    row = await person.fetchone()
    if row is None:
        raise iam.UserUnknown
    email, display_name, is_verified, has_second_factor, is_support = row
    return MeOut(
        id=user_id,
        email=email,
        email_verified=is_verified,
        has_second_factor=has_second_factor,
        display_name=display_name,
        memberships=[_membership(*each) for each in await memberships.fetchall()],
        platform_role="SUPPORT" if is_support else None,
    )


def _membership(role: str, id: UUID, name: str, slug: str) -> MembershipOut:
    organization = OrganizationBrief(id=id, name=name, slug=slug)
    return MembershipOut.model_validate({"organization_id": id, "organization": organization, "role": role})
