"""Endpoints are made, changed and ended by an organization's admins, who see a secret once."""

import base64
import secrets
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox, security
from ticketing.infra.config import get_settings
from ticketing.infra.db import new_id
from ticketing.infra.errors import Conflict, Invalid, NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import organizations
from ticketing.modules.webhooks import messages, tenant_log, topic_filter, url_policy
from ticketing.modules.webhooks.models import WebhookEndpoint

ENDPOINTS_MAX = 20
#: After a rotation the old secret signs as well for so long.
OLD_SECRET_HOURS = 24
SECRET_BYTES = 32


class TooManyWebhooks(Conflict):
    """An organization has at most 20 webhooks; delete one that is not needed."""

    code = "too_many_webhooks"


async def create_endpoint(
    session: AsyncSession, access: organizations.Access, url: str, types: list[str], description: str
) -> tuple[WebhookEndpoint, str]:
    """A new endpoint, which is told what happens from now on, and its secret, which can't be had again.

    Raises:
        Invalid: the address is none of the public internet, or there is no such type.
        TooManyWebhooks: there are ENDPOINTS_MAX already.
    """
    _check(url, types)
    await _check_room(session, access.organization_id)
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
    _tell(session, access, "webhook.created", endpoint, None, facts(endpoint), messages.WebhookCreated)
    return endpoint, secret_text(secret)


async def update_endpoint(
    session: AsyncSession, access: organizations.Access, webhook_id: UUID, changes: dict[str, Any]
) -> WebhookEndpoint:
    """Change what is named. Raises NotFound, Invalid."""
    endpoint = await get_endpoint(session, access.organization_id, webhook_id, is_locked=True)
    _check(changes.get("url", endpoint.url), changes.get("types", []))
    before = facts(endpoint)
    enabled = changes.pop("enabled", endpoint.disabled_at is None)
    for name, value in changes.items():
        setattr(endpoint, name, value)
    if enabled:
        endpoint.disabled_at = endpoint.disabled_because = None
    elif endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_because = await _now(session), "by an admin"
    if (after := facts(endpoint)) != before:
        organizations.record(session, access, "webhook.updated", subject(endpoint), before, after)
        outbox.publish(session, messages.WebhookUpdated(**about(endpoint), enabled=enabled))
    return endpoint


async def rotate_secret(
    session: AsyncSession, access: organizations.Access, webhook_id: UUID
) -> tuple[WebhookEndpoint, str]:
    """A new secret; the one before signs too for OLD_SECRET_HOURS, and the one before that no more. Raises NotFound."""
    endpoint = await get_endpoint(session, access.organization_id, webhook_id, is_locked=True)
    secret = secrets.token_bytes(SECRET_BYTES)
    before = {"old_secret_until": _shown(endpoint)}
    endpoint.sealed_old_secret, endpoint.sealed_secret = endpoint.sealed_secret, security.seal(secret)
    until = select(func.now() + func.make_interval(0, 0, 0, 0, OLD_SECRET_HOURS))
    endpoint.old_secret_until = (await session.execute(until)).scalar_one()
    after = {"old_secret_until": _shown(endpoint)}
    _tell(session, access, "webhook.secret_rotated", endpoint, before, after, messages.WebhookSecretRotated)
    return endpoint, secret_text(secret)


async def delete_endpoint(session: AsyncSession, access: organizations.Access, webhook_id: UUID) -> None:
    """From the commit on nothing is sent there. Raises NotFound, also for one that is deleted already."""
    endpoint = await get_endpoint(session, access.organization_id, webhook_id, is_locked=True)
    endpoint.deleted_at = await _now(session)
    _tell(session, access, "webhook.deleted", endpoint, facts(endpoint), None, messages.WebhookDeleted)


async def disable_endpoint(session: AsyncSession, endpoint: WebhookEndpoint, because: str) -> None:
    """Its receiver does not want it, or can't: nothing is sent until an admin enables it again."""
    endpoint.disabled_at, endpoint.disabled_because = await _now(session), because
    # With an admin's rights, because it was an admin who gave the address.
    admin = organizations.Role.ORG_ADMIN
    access = organizations.Access(endpoint.organization_id, "system:webhooks", None, admin)
    before, after = {**facts(endpoint), "enabled": True}, facts(endpoint)
    _tell(session, access, "webhook.disabled", endpoint, before, after, messages.WebhookDisabled)


async def get_endpoint(
    session: AsyncSession, organization_id: UUID, webhook_id: UUID, *, is_locked: bool = False
) -> WebhookEndpoint:
    """Raises NotFound."""
    mine = (WebhookEndpoint.organization_id == organization_id) & (WebhookEndpoint.id == webhook_id)
    query = select(WebhookEndpoint).where(mine, WebhookEndpoint.deleted_at.is_(None))
    endpoint = (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()
    if endpoint is None:
        raise NotFound
    return endpoint


async def list_endpoints(session: AsyncSession, organization_id: UUID, page: PageQuery) -> Sequence[WebhookEndpoint]:
    """One more than the page takes, oldest first."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.organization_id == organization_id)
    query = query.where(WebhookEndpoint.deleted_at.is_(None)).order_by(WebhookEndpoint.id)
    if page.after is not None:
        query = query.where(WebhookEndpoint.id > page.after_id())
    return (await session.scalars(query.limit(page.limit + 1))).all()


def facts(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """What the audit log says of it: without the query of its address, in which some receivers keep a secret."""
    address = str(httpx2.URL(endpoint.url).copy_with(query=None))
    is_enabled = endpoint.disabled_at is None
    return {"url": address, "types": endpoint.types, "description": endpoint.description, "enabled": is_enabled}


def about(endpoint: WebhookEndpoint) -> dict[str, UUID]:
    return {"organization_id": endpoint.organization_id, "webhook_id": endpoint.id}


def subject(endpoint: WebhookEndpoint) -> str:
    return f"webhook:{endpoint.id}"


def secret_text(secret: bytes) -> str:
    """How Standard Webhooks writes a secret."""
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


async def _check_room(session: AsyncSession, organization_id: UUID) -> None:
    # Two that come at once must not both find the last place.
    await session.execute(_LOCK, {"name": f"webhooks:{organization_id}"})
    mine = (WebhookEndpoint.organization_id == organization_id) & WebhookEndpoint.deleted_at.is_(None)
    if (await session.scalar(select(func.count()).select_from(WebhookEndpoint).where(mine)) or 0) >= ENDPOINTS_MAX:
        raise TooManyWebhooks


_LOCK = text("select pg_advisory_xact_lock(hashtextextended(:name, 0))")


async def _now(session: AsyncSession) -> Any:
    return (await session.execute(select(func.now()))).scalar_one()


def _shown(endpoint: WebhookEndpoint) -> str | None:
    return endpoint.old_secret_until.isoformat() if endpoint.old_secret_until else None


def _tell(
    session: AsyncSession,
    access: organizations.Access,
    action: str,
    endpoint: WebhookEndpoint,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    fact: Any,
) -> None:
    organizations.record(session, access, action, subject(endpoint), before, after)
    outbox.publish(session, fact(**about(endpoint)))
