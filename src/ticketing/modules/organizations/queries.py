"""Reading about tenants. Whoever calls these has been let in already."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import NotFound
from ticketing.infra.paging import PageQuery
from ticketing.modules.organizations.models import ApiKey, AuditEntry, Member, Organization, Role

#: More organizations than anybody works for.
MEMBERSHIPS_MAX = 1000


async def find_role(session: AsyncSession, organization_id: UUID, user_id: UUID) -> Role | None:
    """What this person is in the organization; None for strangers, and for an organization that does not exist."""
    is_theirs = (Member.organization_id == organization_id) & (Member.user_id == user_id)
    role = await session.scalar(select(Member.role).where(is_theirs))
    return None if role is None else Role(role)


async def get_organization(session: AsyncSession, organization_id: UUID) -> Organization:
    """Raises NotFound."""
    organization = await session.get(Organization, organization_id)
    if organization is None:
        raise NotFound
    return organization


async def list_organizations(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Organization]:
    """The organizations with these ids; unknown ids are left out."""
    organizations = await session.scalars(select(Organization).where(Organization.id.in_(ids)))
    return {organization.id: organization for organization in organizations}


async def list_memberships(
    session: AsyncSession, user_id: UUID, page: PageQuery | None = None
) -> list[tuple[Member, Organization]]:
    """A person's organizations and their role in each, oldest organization first; without a page, all of them."""
    query = select(Member, Organization).join(Organization, Organization.id == Member.organization_id)
    query = query.where(Member.user_id == user_id).order_by(Organization.id)
    if page is not None and page.after is not None:
        query = query.where(Organization.id > page.after_id())
    rows = await session.execute(query.limit(page.limit + 1 if page else MEMBERSHIPS_MAX))
    return [(member, organization) for member, organization in rows]


async def list_members(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[Member]:
    """One more than the page takes, in the order in which they registered."""
    query = select(Member).where(Member.organization_id == organization_id).order_by(Member.user_id)
    if page.after is not None:
        query = query.where(Member.user_id > page.after_id())
    return list(await session.scalars(query.limit(page.limit + 1)))


async def list_keys(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[ApiKey]:
    """One more than the page takes, oldest first, revoked ones included."""
    query = select(ApiKey).where(ApiKey.organization_id == organization_id).order_by(ApiKey.id)
    if page.after is not None:
        query = query.where(ApiKey.id > page.after_id())
    return list(await session.scalars(query.limit(page.limit + 1)))


async def list_audit(session: AsyncSession, organization_id: UUID, page: PageQuery) -> list[AuditEntry]:
    """One more than the page takes, newest first."""
    query = select(AuditEntry).where(AuditEntry.organization_id == organization_id).order_by(AuditEntry.id.desc())
    if page.after is not None:
        query = query.where(AuditEntry.id < page.after_id())
    return list(await session.scalars(query.limit(page.limit + 1)))
