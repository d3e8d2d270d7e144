"""API keys: shown once, stored as a hash, revoked but never deleted, because the audit log refers to them."""

import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import new_id, transaction_time
from ticketing.infra.errors import Forbidden, Invalid, NotFound
from ticketing.infra.formats.times import rfc3339
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import ApiKeyCreated, ApiKeyRevoked
from ticketing.modules.organizations.models import ApiKey, Role
from ticketing.modules.organizations.permissions import Access, Permission
from ticketing.modules.organizations.queries import is_in_use, lock_membership
from ticketing.modules.organizations.quotas import Quota, check_quota


async def create_key(
    session: AsyncSession, access: Access, name: str, role: Role, expires_at: datetime | None
) -> tuple[ApiKey, str]:
    """Create a key. Return it with its text, `tk_<prefix>_<secret>`, which is not stored.

    Raises:
        UserRequired: the caller is a machine.
        Forbidden: the role is above the caller's own.
        Invalid: `expires_at` is in the past.
        QuotaExceeded: the organization has as many keys as it may have.
    """
    access.require(Permission.MAKE_KEYS)
    await lock_membership(session, access, Permission.MAKE_KEYS)
    if not access.can_grant(role):
        raise Forbidden
    if expires_at is not None and expires_at <= await transaction_time(session):
        raise Invalid("A key must expire in the future.", field="expires_at")
    prefix = secrets.token_hex(4)
    text = f"tk_{prefix}_{security.new_secret()}"
    row = insert(ApiKey).values(
        id=new_id(),
        organization_id=access.organization_id,
        name=name,
        prefix=prefix,
        key_hash=security.fingerprint(text),
        role=role,
        expires_at=expires_at,
        created_by=access.user_id,
    )
    key = (await session.scalars(row.returning(ApiKey))).one()
    in_use = select(func.count()).where(ApiKey.organization_id == access.organization_id, is_in_use())
    await check_quota(session, Quota.API_KEYS, access.organization_id, in_use)
    record(session, access, "api_key.created", f"api_key:{key.id}", None, _audited(key))
    outbox.publish(session, ApiKeyCreated(organization_id=access.organization_id, api_key_id=key.id, role=role))
    return key, text


async def revoke_key(session: AsyncSession, access: Access, key_id: UUID) -> None:
    """Revoke a key, effective with the commit. Raises NotFound, also for a revoked key."""
    if not await _revoke(session, access, ApiKey.id == key_id):
        raise NotFound


async def revoke_keys_made_by(session: AsyncSession, access: Access, user_id: UUID, roles: Iterable[Role]) -> None:
    """Revoke the keys with these roles that a person made in the caller's organization."""
    await _revoke(session, access, (ApiKey.created_by == user_id) & ApiKey.role.in_(roles))


async def _revoke(session: AsyncSession, access: Access, which: ColumnElement[bool]) -> bool:
    is_live = (ApiKey.organization_id == access.organization_id) & ApiKey.revoked_at.is_(None)
    revoke = update(ApiKey).where(is_live, which).values(revoked_at=func.now()).returning(ApiKey)
    keys = (await session.scalars(revoke)).all()
    for key in keys:
        record(session, access, "api_key.revoked", f"api_key:{key.id}", _audited(key), None)
        outbox.publish(session, ApiKeyRevoked(organization_id=access.organization_id, api_key_id=key.id))
    return bool(keys)


def _audited(key: ApiKey) -> dict[str, Any]:
    """Return the fields of a key for the audit log; `expires_at` only if it is set."""
    expiry = {"expires_at": rfc3339(key.expires_at)} if key.expires_at else {}
    return {"name": key.name, "role": Role(key.role), **expiry}
