"""Who may do what in a tenant: every route under /orgs/{org_id} asks here first, and a stranger learns nothing."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from sqlalchemy import func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, security
from ticketing.infra.db import Db
from ticketing.infra.errors import Forbidden, NotFound, Unauthenticated
from ticketing.modules import iam
from ticketing.modules.organizations.models import ApiKey, Role
from ticketing.modules.organizations.queries import find_role

#: A key's last use is written at most this often: a busy scanner should not write with every scan.
LAST_USED_EVERY = timedelta(minutes=1)

_RANK = {Role.ORG_SCANNER: 1, Role.ORG_STAFF: 2, Role.ORG_ADMIN: 3}

# Only for the OpenAPI document, like iam's.
_api_key = APIKeyHeader(
    name="Authorization", auto_error=False, scheme_name="ApiKey", description="`ApiKey tk_…`, for machines"
)


@dataclass(frozen=True, slots=True)
class Access:
    """Somebody at work in an organization. `user_id` is None when it is a machine with a key."""

    organization_id: UUID
    actor: str
    user_id: UUID | None
    role: Role


def _at_least(minimum: Role) -> Callable[..., Awaitable[Access]]:
    async def check(
        request: Request,
        org_id: UUID,
        session: Db,
        user: iam.OptionalUser,
        _: Annotated[object, Security(_api_key)],
    ) -> Access:
        access = await _by_token(session, org_id, user) if user else await _by_key(session, org_id, request)
        if _RANK[access.role] < _RANK[minimum]:
            raise Forbidden
        return access

    return check


async def _by_token(session: AsyncSession, organization_id: UUID, user: iam.Identity) -> Access:
    role = await find_role(session, organization_id, user.user_id)
    if role is None:
        raise NotFound
    return Access(organization_id, user.actor, user.user_id, role)


async def _by_key(session: AsyncSession, organization_id: UUID, request: Request) -> Access:
    scheme, credentials = security.authorization(request)
    if scheme != "apikey":
        raise Unauthenticated
    is_good = (ApiKey.key_hash == security.fingerprint(credentials)) & ApiKey.revoked_at.is_(None)
    key = (await session.scalars(select(ApiKey).where(is_good))).one_or_none()
    if key is None:
        raise Unauthenticated("This key is unknown or revoked.")
    if key.organization_id != organization_id:
        raise NotFound
    await _note_use(session, key.id)
    actor = f"key:{key.id}"
    log.actor.set(actor)
    return Access(organization_id, actor, None, key.role)


async def _note_use(session: AsyncSession, key_id: UUID) -> None:
    is_due = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < func.now() - LAST_USED_EVERY)
    # Skipping a locked row: one request in a minute notes the use, and no other waits for its transaction to end.
    due = select(ApiKey.id).where(ApiKey.id == key_id, is_due).with_for_update(skip_locked=True, key_share=True)
    await session.execute(update(ApiKey).where(ApiKey.id.in_(due.scalar_subquery())).values(last_used_at=func.now()))


#: What a route's parameter is annotated with. Raises NotFound for strangers, Forbidden for too low a role.
Admin = Annotated[Access, Depends(_at_least(Role.ORG_ADMIN))]
Staff = Annotated[Access, Depends(_at_least(Role.ORG_STAFF))]
Scanner = Annotated[Access, Depends(_at_least(Role.ORG_SCANNER))]
