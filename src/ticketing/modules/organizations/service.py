"""Creating and changing tenants."""

import secrets
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, statements, tenancy
from ticketing.infra.db.pipeline import send
from ticketing.infra.errors import Conflict
from ticketing.infra.formats import slugs
from ticketing.modules import iam
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import MemberAdded, OrganizationCreated, OrganizationUpdated
from ticketing.modules.organizations.models import Organization, Role
from ticketing.modules.organizations.permissions import Access
from ticketing.modules.organizations.quotas import Quota, query_quota
from ticketing.modules.organizations.schemas import OrganizationOut

#: Tries for a derived slug: numbers that a person can remember, and random suffixes, which are never taken.
SLUG_NUMBER_MAX, SLUG_SUFFIXES_MAX = 5, 3


class SlugTaken(Conflict):
    """Another organization has this slug."""

    code = "slug_taken"


_COLUMNS = ("id", "name", "slug", "buyer_data_days", "provider_refund_tickets", "created_at")
_INSERT = f"""
insert into organizations (id, name, slug) values (%s, %s, %s) on conflict do nothing
returning {", ".join(_COLUMNS)}"""  # noqa: S608 (constants)
#: Without the organization, there is no member either.
_FIRST_ADMIN = """
insert into members (organization_id, user_id, role, admin_accepted_at)
select id, %s, %s, now() from organizations where id = %s"""
_ADMINISTERED = "select count(*) from members where user_id = %s and admin_accepted_at is not null"


async def create_organization(session: AsyncSession, user: iam.Identity, name: str, slug: str = "") -> OrganizationOut:
    """Create a tenant with the caller as its first admin. No slug: derived. Raises SlugTaken, QuotaExceeded."""
    organization = await _insert(session, user, name, iter([slug]) if slug else _slugs_for(name))
    ids = {"organization_id": organization.id, "user_id": user.user_id}
    access = Access(organization.id, user.actor, user.user_id, Role.ORG_ADMIN)
    record(session, access, "organization.created", f"organization:{organization.id}", None, _audited(organization))
    outbox.publish(
        session,
        OrganizationCreated(organization_id=organization.id, name=name, slug=organization.slug),
        MemberAdded(**ids, role=Role.ORG_ADMIN),
    )
    return organization


async def _insert(session: AsyncSession, user: iam.Identity, name: str, candidates: Iterator[str]) -> OrganizationOut:
    """Insert, with the first slug that is not taken, in one round trip. Raises SlugTaken, QuotaExceeded."""
    organization_id = new_id()
    for slug in candidates:
        async with statements.round_trip(session) as connection:
            await tenancy.enter_on(connection, organization_id)
            inserted = await send(connection, _INSERT, organization_id, name, slug)
            await send(connection, _FIRST_ADMIN, user.user_id, str(Role.ORG_ADMIN), organization_id)
            quota = await query_quota(connection, Quota.ORGANIZATIONS, user.user_id, _ADMINISTERED, user.user_id)
        if (row := await inserted.fetchone()) is not None:
            await quota.fetch()
            return OrganizationOut.model_validate(dict(zip(_COLUMNS, row, strict=True)))
    raise SlugTaken(field="slug")


def _slugs_for(name: str) -> Iterator[str]:
    """The slug of the name, then with numbers, then with random suffixes."""
    base = slugs.slug_of(name)
    if base:
        yield base
        yield from (_with_suffix(base, str(number)) for number in range(2, SLUG_NUMBER_MAX + 1))
    for _ in range(SLUG_SUFFIXES_MAX):
        yield _with_suffix(base or "org", secrets.token_hex(3))


def _with_suffix(base: str, suffix: str) -> str:
    return f"{base[: slugs.LENGTH_MAX - len(suffix) - 1].rstrip('-')}-{suffix}"


async def update_organization(session: AsyncSession, access: Access, changes: dict[str, Any]) -> Organization:
    """Change the name, the slug or a setting. Raises SlugTaken."""
    organization = await lock_organization(session, access.organization_id)
    before = _audited(organization)
    after = before | changes
    if after == before:
        return organization
    try:
        await session.execute(update(Organization).where(Organization.id == organization.id).values(**changes))
    except IntegrityError:
        # The transaction is aborted; the request does nothing more in it.
        raise SlugTaken(field="slug") from None
    record(session, access, "organization.updated", f"organization:{organization.id}", before, after)
    outbox.publish(session, OrganizationUpdated(organization_id=organization.id, **after))
    return organization


async def lock_organization(session: AsyncSession, organization_id: UUID) -> Organization:
    """Lock the organization. Inserting rows that refer to it (events, orders) does not wait for this lock."""
    query = select(Organization).where(Organization.id == organization_id)
    query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(query)).one()


def _audited(organization: Organization | OrganizationOut) -> dict[str, Any]:
    return {
        name: getattr(organization, name) for name in ("name", "slug", "buyer_data_days", "provider_refund_tickets")
    }
