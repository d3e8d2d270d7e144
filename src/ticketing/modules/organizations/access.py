"""Access control of every route under /orgs/{org_id}. Responses do not reveal whether an organization exists."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import app_state, log, security
from ticketing.infra.db import Database, Db, tenancy
from ticketing.infra.errors import NotFound, Unauthenticated
from ticketing.modules import iam
from ticketing.modules.organizations import support
from ticketing.modules.organizations.models import ApiKey, Organization, Role
from ticketing.modules.organizations.permissions import Access, NonMember, Permission
from ticketing.modules.organizations.queries import find_key, find_role

#: `last_used_at` is written at most this often, so that a busy scanner does not write on every scan.
LAST_USED_EVERY = timedelta(minutes=1)

# Only for the OpenAPI document, like `bearer` of iam.
_api_key = APIKeyHeader(
    name="Authorization", auto_error=False, scheme_name="ApiKey", description="`ApiKey tk_…`, for machines"
)
ApiKeyScheme = Annotated[object, Security(_api_key)]


class May:
    """A dependency that requires a permission in the organization of the path.

    Raises:
        Unauthenticated: the request has no credentials, or an invalid API key.
        NotFound: the organization is unknown, or the caller is not a member; the two are indistinguishable.
        Forbidden: the caller is a member without this permission.
    """

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(
        self, request: Request, org_id: UUID, session: Db, user: iam.OptionalUser, _: ApiKeyScheme
    ) -> Access:
        access = await _by_token(session, org_id, user) if user else await _by_key(session, org_id, request)
        access.require(self.permission)
        if access.role is NonMember.SUPPORT:
            await support.begin_reading(session, access)
        return access


class MayOrSelf:
    """Like `May`; a member needs no permission for what concerns the own membership, the `user_id` of the path."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission
        self._members = May(permission)

    async def __call__(
        self, request: Request, org_id: UUID, user_id: UUID, session: Db, user: iam.OptionalUser, key: ApiKeyScheme
    ) -> Access:
        if user is not None and user.user_id == user_id:
            access = await _by_token(session, org_id, user)
            if access.role is not NonMember.SUPPORT:
                return access
        return await self._members(request, org_id, session, user, key)


def may(permission: Permission) -> Any:
    """Annotate the `Access` of a route: `Annotated[Access, may(Permission.EDIT_EVENTS)]`."""
    return Depends(May(permission))


async def check_access(request: Request, organization_id: UUID, permission: Permission) -> None:
    """Authorize a request in a transaction that ends here, for a route whose body is large and may arrive slowly.

    The route authorizes again in the transaction of its changes.

    Raises:
        Unauthenticated, NotFound, Forbidden: as `May`.
    """
    user = await iam.optional_user(request, None)
    async with app_state.of(request.app).get(Database).transaction(user.user_id if user else None) as session:
        await May(permission)(request, organization_id, session, user, None)


async def _by_token(session: AsyncSession, organization_id: UUID, user: iam.Identity) -> Access:
    role = await find_role(session, organization_id, user.user_id)
    if role is None and not await support.is_support(session, user.user_id):
        raise NotFound
    await tenancy.enter(session, organization_id)
    if role is None and not await session.scalar(select(exists().where(Organization.id == organization_id))):
        raise NotFound
    return Access(organization_id, user.actor, user.user_id, role or NonMember.SUPPORT)


async def _by_key(session: AsyncSession, organization_id: UUID, request: Request) -> Access:
    scheme, credentials = security.authorization(request)
    if scheme != "apikey":
        raise Unauthenticated
    digest = security.fingerprint(credentials)
    await tenancy.enter_by(session, "organization_of_api_key", digest)
    key = await find_key(session, digest)
    if key is None:
        raise Unauthenticated("This key is unknown, revoked or expired.")
    if key.organization_id != organization_id:
        raise NotFound
    await record_use(session, ApiKey, key.id)
    actor = f"key:{key.id}"
    log.actor.set(actor)
    return Access(organization_id, actor, None, Role(key.role))


async def record_use(session: AsyncSession, table: Any, row_id: UUID) -> None:
    """Update `last_used_at` of a key or device in `table`, at most once per minute."""
    is_due = or_(table.last_used_at.is_(None), table.last_used_at < func.now() - LAST_USED_EVERY)
    # `skip_locked`: concurrent requests skip the update instead of waiting for the transaction that does it.
    due = select(table.id).where(table.id == row_id, is_due).with_for_update(skip_locked=True, key_share=True)
    await session.execute(update(table).where(table.id.in_(due.scalar_subquery())).values(last_used_at=func.now()))
