"""Keys for machines: shown once, kept as a hash, revoked and never deleted, so that the audit log can name them."""

import secrets
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.db import new_id
from ticketing.infra.errors import Forbidden, NotFound
from ticketing.modules.organizations.access import Access
from ticketing.modules.organizations.audit import record
from ticketing.modules.organizations.messages import ApiKeyCreated, ApiKeyRevoked
from ticketing.modules.organizations.models import ApiKey, Role


class KeysMakeNoKeys(Forbidden):
    """Only a person can make a key: a stolen one must not outlive its revocation in its children."""


async def create_key(session: AsyncSession, access: Access, name: str, role: Role) -> tuple[ApiKey, str]:
    """A new key and its secret text, `tk_<prefix>_<secret>`, which can't be had again. Raises KeysMakeNoKeys."""
    if access.user_id is None:
        raise KeysMakeNoKeys
    prefix = secrets.token_hex(4)
    text = f"tk_{prefix}_{security.new_secret()}"
    row = insert(ApiKey).values(
        id=new_id(),
        organization_id=access.organization_id,
        name=name,
        prefix=prefix,
        key_hash=security.fingerprint(text),
        role=role,
        created_by=access.user_id,
    )
    key = (await session.scalars(row.returning(ApiKey))).one()
    record(session, access, "api_key.created", f"api_key:{key.id}", None, {"name": name, "role": role})
    outbox.publish(session, ApiKeyCreated(organization_id=access.organization_id, api_key_id=key.id, role=role))
    return key, text


async def revoke_key(session: AsyncSession, access: Access, key_id: UUID) -> None:
    """From the commit on, the key opens nothing. Raises NotFound, also for one that is revoked already."""
    is_live = (ApiKey.organization_id == access.organization_id) & (ApiKey.id == key_id) & ApiKey.revoked_at.is_(None)
    revoke = update(ApiKey).where(is_live).values(revoked_at=func.now()).returning(ApiKey)
    key = (await session.scalars(revoke)).one_or_none()
    if key is None:
        raise NotFound
    before = {"name": key.name, "role": Role(key.role)}
    record(session, access, "api_key.revoked", f"api_key:{key.id}", before, None)
    outbox.publish(session, ApiKeyRevoked(organization_id=access.organization_id, api_key_id=key.id))
