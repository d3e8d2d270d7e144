"""Endpoints: created, changed and deleted by the admins of an organization, who see each secret once."""

import base64
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.config import get_settings
from ticketing.infra.db import new_id, transaction_time
from ticketing.infra.errors import Invalid, NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import organizations
from ticketing.modules.webhooks import messages, tenant_log, topic_filter, url_policy
from ticketing.modules.webhooks.models import WebhookEndpoint

#: How long deliveries are signed with the old secret as well after a rotation.
OLD_SECRET_HOURS = 24
SECRET_BYTES = 32


class TooManyWebhooks(organizations.QuotaExceeded):
    """The organization has as many webhooks as it may have; delete one that is not needed."""

    status, code = 409, "too_many_webhooks"


async def create_endpoint(
    session: AsyncSession, access: organizations.Access, url: str, types: list[str], description: str
) -> tuple[WebhookEndpoint, str]:
    """Create an endpoint for future messages; returns it with its secret, which is stored encrypted only.

    Raises:
        Invalid: the URL does not point to the public internet, or there is no such type.
        TooManyWebhooks: the organization has as many as it may have.
    """
    _check(url, types)
    secret = secrets.token_bytes(SECRET_BYTES)
    row = insert(WebhookEndpoint).values(
        id=new_id(),
        organization_id=access.organization_id,
        url=url,
        types=types,
        description=description,
        sealed_secret=security.seal(secret),
        window_from=await tenant_log.get_horizon(session),
    )
    endpoint = (await session.scalars(row.returning(WebhookEndpoint))).one()
    mine = (WebhookEndpoint.organization_id == access.organization_id) & WebhookEndpoint.deleted_at.is_(None)
    quota, count = organizations.Quota.WEBHOOKS, select(func.count()).where(mine)
    await organizations.check_quota(session, quota, access.organization_id, count, TooManyWebhooks)
    _record(session, access, "webhook.created", endpoint, None, audit_fields(endpoint), messages.WebhookCreated)
    return endpoint, encode_secret(secret)


async def update_endpoint(
    session: AsyncSession, access: organizations.Access, webhook_id: UUID, changes: dict[str, Any]
) -> WebhookEndpoint:
    """Change the given fields. Raises NotFound, Invalid."""
    endpoint = await get_endpoint(session, access.organization_id, webhook_id, is_locked=True)
    _check(changes.get("url", endpoint.url), changes.get("types", []))
    before = audit_fields(endpoint)
    enabled = changes.pop("enabled", endpoint.disabled_at is None)
    for name, value in changes.items():
        setattr(endpoint, name, value)
    if enabled:
        endpoint.disabled_at = endpoint.disabled_because = None
    elif endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_because = await transaction_time(session), "by an admin"
    if (after := audit_fields(endpoint)) != before:
        organizations.record(session, access, "webhook.updated", subject(endpoint), before, after)
        outbox.publish(session, messages.WebhookUpdated(**message_key(endpoint), enabled=enabled))
    return endpoint


async def rotate_secret(
    session: AsyncSession, access: organizations.Access, webhook_id: UUID
) -> tuple[WebhookEndpoint, str]:
    """Create a new secret. The previous one stays valid for OLD_SECRET_HOURS, older ones do not. Raises NotFound."""
    endpoint = await get_endpoint(session, access.organization_id, webhook_id, is_locked=True)
    secret = secrets.token_bytes(SECRET_BYTES)
    before = {"old_secret_until": _old_secret_until(endpoint)}
    endpoint.sealed_old_secret, endpoint.sealed_secret = endpoint.sealed_secret, security.seal(secret)
    until = select(func.now() + timedelta(hours=OLD_SECRET_HOURS))
    endpoint.old_secret_until = (await session.execute(until)).scalar_one()
    after = {"old_secret_until": _old_secret_until(endpoint)}
    _record(session, access, "webhook.secret_rotated", endpoint, before, after, messages.WebhookSecretRotated)
    return endpoint, encode_secret(secret)


async def delete_endpoint(session: AsyncSession, access: organizations.Access, webhook_id: UUID) -> None:
    """Delete an endpoint; nothing is sent to it after the commit. Raises NotFound, also if it is deleted already."""
    endpoint = await get_endpoint(session, access.organization_id, webhook_id, is_locked=True)
    endpoint.deleted_at = await transaction_time(session)
    _record(session, access, "webhook.deleted", endpoint, audit_fields(endpoint), None, messages.WebhookDeleted)


async def disable_endpoint(session: AsyncSession, endpoint: WebhookEndpoint, because: str) -> None:
    """Disable an endpoint whose receiver refuses or fails; nothing is sent until an admin enables it again."""
    endpoint.disabled_at, endpoint.disabled_because = await transaction_time(session), because
    # With an admin's rights, because an admin created the endpoint.
    admin = organizations.Role.ORG_ADMIN
    access = organizations.Access(endpoint.organization_id, "system:webhooks", None, admin)
    before, after = {**audit_fields(endpoint), "enabled": True}, audit_fields(endpoint)
    _record(session, access, "webhook.disabled", endpoint, before, after, messages.WebhookDisabled)


async def get_endpoint(
    session: AsyncSession, organization_id: UUID, webhook_id: UUID, *, is_locked: bool = False
) -> WebhookEndpoint:
    """Return an endpoint, locked on request. Raises NotFound, also if it is deleted."""
    mine = (WebhookEndpoint.organization_id == organization_id) & (WebhookEndpoint.id == webhook_id)
    query = select(WebhookEndpoint).where(mine, WebhookEndpoint.deleted_at.is_(None))
    endpoint = (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()
    if endpoint is None:
        raise NotFound
    return endpoint


async def list_endpoints(session: AsyncSession, organization_id: UUID, page: PageQuery) -> Sequence[WebhookEndpoint]:
    """One row more than the page holds, oldest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.organization_id == organization_id)
    query = query.where(WebhookEndpoint.deleted_at.is_(None)).order_by(WebhookEndpoint.id)
    if page.after is not None:
        query = query.where(WebhookEndpoint.id > page.after_id())
    return (await session.scalars(query.limit(page.limit + 1))).all()


def audit_fields(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """The fields in the audit log. Without the query of the URL, which contains a secret of some receivers."""
    url = str(httpx2.URL(endpoint.url).copy_with(query=None))
    is_enabled = endpoint.disabled_at is None
    return {"url": url, "types": endpoint.types, "description": endpoint.description, "enabled": is_enabled}


def message_key(endpoint: WebhookEndpoint) -> dict[str, UUID]:
    """The fields that all messages about the endpoint have."""
    return {"organization_id": endpoint.organization_id, "webhook_id": endpoint.id}


def subject(endpoint: WebhookEndpoint) -> str:
    """The endpoint's name in the audit log."""
    return f"webhook:{endpoint.id}"


def encode_secret(secret: bytes) -> str:
    """Encode a secret as defined by Standard Webhooks."""
    return "whsec_" + base64.b64encode(secret).decode()


def _check(url: str, types: list[str]) -> None:
    settings = get_settings()
    try:
        url_policy.check_url(
            url,
            allow_http=settings.environment == "development",
            allow_private=settings.webhook_private_addresses == "allow",
        )
    except ValueError as error:
        raise Invalid(str(error), field="url") from None
    for number, each in enumerate(types):
        topic_filter.check([each], field=f"types.{number}")


def _old_secret_until(endpoint: WebhookEndpoint) -> str | None:
    return endpoint.old_secret_until.isoformat() if endpoint.old_secret_until else None


def _record(
    session: AsyncSession,
    access: organizations.Access,
    action: str,
    endpoint: WebhookEndpoint,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    message: Any,
) -> None:
    """Write the audit log entry and publish the message of a change."""
    organizations.record(session, access, action, subject(endpoint), before, after)
    outbox.publish(session, message(**message_key(endpoint)))
