"""Who comes into a tenant, and as what: every route under /orgs/{org_id} asks here first; a stranger learns nothing."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, security
from ticketing.infra.db import Db, tenancy
from ticketing.infra.errors import NotFound, Unauthenticated
from ticketing.modules import iam
from ticketing.modules.organizations import support
from ticketing.modules.organizations.models import ApiKey, Organization, Role
from ticketing.modules.organizations.permissions import Access, Guest, Permission
from ticketing.modules.organizations.queries import find_key, find_role

#: A key's last use is written at most this often: a busy scanner should not write with every scan.
LAST_USED_EVERY = timedelta(minutes=1)

# Only for the OpenAPI document, like iam's.
_api_key = APIKeyHeader(
    name="Authorization", auto_error=False, scheme_name="ApiKey", description="`ApiKey tk_…`, for machines"
)
ApiKeyScheme = Annotated[object, Security(_api_key)]


class May:
    """Lets in who holds a permission in the organization of the path.

    Raises:
        Unauthenticated: nobody calls, or with a key that opens nothing.
        NotFound: the organization is unknown, or the caller has no business in it: the two look the same.
        Forbidden: the caller is known there, and may not do this.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self, request: Request, org_id: UUID, session: Db, user: iam.OptionalUser, _: ApiKeyScheme
    ) -> Access:
        access = await _by_token(session, org_id, user) if user else await _by_key(session, org_id, request)
        access.require(self.permission)
        if access.role is Guest.SUPPORT:
            await support.begin_reading(session, access)
        return access


def may(permission: Permission) -> Any:
    """What a route's `Access` is annotated with: `Annotated[Access, may(Permission.EDIT_EVENTS)]`."""
    return Depends(May(permission))


async def _by_token(session: AsyncSession, organization_id: UUID, user: iam.Identity) -> Access:
    role = await find_role(session, organization_id, user.user_id)
    if role is None and not await support.is_support(session, user.user_id):
        raise NotFound
    await tenancy.enter(session, organization_id)
    if role is None and not await session.scalar(select(exists().where(Organization.id == organization_id))):
        raise NotFound
    return Access(organization_id, user.actor, user.user_id, role or Guest.SUPPORT)


async def _by_key(session: AsyncSession, organization_id: UUID, request: Request) -> Access:
    scheme, credentials = security.authorization(request)
    if scheme != "apikey":
        raise Unauthenticated
    digest = security.fingerprint(credentials)
    await tenancy.enter_by(session, "organization_of_api_key", digest)
    key = await find_key(session, digest)
    if key is None:
        raise Unauthenticated("This key is unknown, revoked, or has run out.")
    if key.organization_id != organization_id:
        raise NotFound
    await note_use(session, ApiKey, key.id)
    actor = f"key:{key.id}"
    log.actor.set(actor)
    return Access(organization_id, actor, None, Role(key.role))


async def note_use(session: AsyncSession, table: Any, row_id: UUID) -> None:
    """Write down, at most once a minute, that a key or a device was used: `last_used_at` of its row in `table`."""
    is_due = or_(table.last_used_at.is_(None), table.last_used_at < func.now() - LAST_USED_EVERY)
    # Skipping a locked row: one request in a minute notes the use, and no other waits for its transaction to end.
    due = select(table.id).where(table.id == row_id, is_due).with_for_update(skip_locked=True, key_share=True)
    await session.execute(update(table).where(table.id.in_(due.scalar_subquery())).values(last_used_at=func.now()))
