"""Deliveries and their attempts: list, test, and redeliver on request."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, transaction_time
from ticketing.infra.errors import Conflict, NotFound
from ticketing.infra.formats.times import rfc3339
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import organizations
from ticketing.modules.webhooks.endpoints import get_endpoint, message_key, subject
from ticketing.modules.webhooks.messages import WebhookTest
from ticketing.modules.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint


class WebhookIsDisabled(Conflict):
    """This webhook is disabled; enable it first."""

    code = "webhook_disabled"


def body_of(topic: str, at: datetime, payload: dict[str, Any]) -> str:
    """The signed request body, as defined by Standard Webhooks."""
    return orjson.dumps({"type": topic, "timestamp": rfc3339(at), "data": payload}).decode()


async def send_test(session: AsyncSession, access: organizations.Access, webhook_id: UUID) -> WebhookDelivery:
    """Create a delivery of `webhook.test` to this endpoint only. Raises NotFound, WebhookIsDisabled."""
    endpoint = await _get_enabled(session, access, webhook_id)
    message = WebhookTest(**message_key(endpoint))
    at = await transaction_time(session)
    row = insert(WebhookDelivery).values(
        organization_id=endpoint.organization_id,
        endpoint_id=endpoint.id,
        message_id=new_id(),
        topic=message.topic,
        body=body_of(message.topic, at, message.model_dump(mode="json")),
    )
    delivery = (await session.scalars(row.returning(WebhookDelivery))).one()
    outbox.notify_on_commit(session, message)  # wakes the worker; the log has no message
    after = {"message_id": str(delivery.message_id)}
    organizations.record(session, access, "webhook.tested", subject(endpoint), None, after)
    return delivery


async def redeliver(
    session: AsyncSession, access: organizations.Access, webhook_id: UUID, message_id: UUID
) -> WebhookDelivery:
    """Make a delivery due now, with all attempts ahead of it again. Raises NotFound, WebhookIsDisabled."""
    endpoint = await _get_enabled(session, access, webhook_id)
    delivery = await get_delivery(session, access.organization_id, webhook_id, message_id, is_locked=True)
    before = {"message_id": str(message_id), "status": delivery.status}
    now = await transaction_time(session)
    delivery.status, delivery.due_at, delivery.tries, delivery.ended_at = DeliveryStatus.PENDING, now, 0, None
    after = {**before, "status": delivery.status, "redelivered": True}
    organizations.record(session, access, "webhook.redelivered", subject(endpoint), before, after)
    outbox.notify_on_commit(session, WebhookTest(**message_key(endpoint)))
    return delivery


async def get_delivery(
    session: AsyncSession, organization_id: UUID, webhook_id: UUID, message_id: UUID, *, is_locked: bool = False
) -> WebhookDelivery:
    """Return a delivery, locked on request. Raises NotFound."""
    await get_endpoint(session, organization_id, webhook_id)
    query = select(WebhookDelivery).where(_is_of(organization_id, webhook_id), WebhookDelivery.message_id == message_id)
    delivery = (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()
    if delivery is None:
        raise NotFound
    return delivery


async def list_deliveries(
    session: AsyncSession, organization_id: UUID, webhook_id: UUID, status: DeliveryStatus | None, page: PageQuery
) -> Sequence[WebhookDelivery]:
    """One row more than the page holds, newest message first. Raises NotFound."""
    await get_endpoint(session, organization_id, webhook_id)
    query = select(WebhookDelivery).where(_is_of(organization_id, webhook_id))
    if status is not None:
        query = query.where(WebhookDelivery.status == status)
    if page.after is not None:
        query = query.where(WebhookDelivery.message_id < page.after_id())
    return (await session.scalars(query.order_by(WebhookDelivery.message_id.desc()).limit(page.limit + 1))).all()


async def _get_enabled(session: AsyncSession, access: organizations.Access, webhook_id: UUID) -> WebhookEndpoint:
    endpoint = await get_endpoint(session, access.organization_id, webhook_id)
    if endpoint.disabled_at is not None:
        raise WebhookIsDisabled
    return endpoint


def _is_of(organization_id: UUID, webhook_id: UUID) -> ColumnElement[bool]:
    return (WebhookDelivery.organization_id == organization_id) & (WebhookDelivery.endpoint_id == webhook_id)
