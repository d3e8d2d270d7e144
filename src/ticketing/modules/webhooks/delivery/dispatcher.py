"""Claims the due deliveries of an endpoint, sends them while no transaction is open, and records the results.

A claim moves `due_at` of a delivery to the time at which the claim expires. After that, a delivery whose
process was killed between sending and recording is sent again under the same id: delivery is at-least-once, and
receivers deduplicate by id.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log, security
from ticketing.infra.db import Database, statements
from ticketing.infra.db.pipeline import rows
from ticketing.infra.formats.times import rfc3339
from ticketing.modules.webhooks.delivery import metrics
from ticketing.modules.webhooks.delivery.sender import ATTEMPT_SECONDS, Sender, SendResult, headers_of
from ticketing.modules.webhooks.endpoints import disable_endpoint
from ticketing.modules.webhooks.models import DeliveryStatus, WebhookEndpoint

#: Seconds between a failed attempt and the next one, over three days. The first attempt is immediate.
RETRY_DELAYS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS_MAX = len(RETRY_DELAYS) + 1
#: Concurrent requests of one process to one endpoint.
CONCURRENCY_MAX = 4
#: Longer than an attempt can take.
CLAIM_SECONDS = 60
#: Batches sent by one call of `dispatch`, so that a large backlog of one endpoint does not starve the others.
BATCHES_MAX = 25
#: Attempts that are stored per delivery: repeated redelivery must not grow the row without limit.
STORED_ATTEMPTS_MAX = 30

_log = log.get_logger(__name__)
crash_points.register("after_webhook_before_note", "a receiver has accepted webhooks, and none of it is recorded")


class ClaimedDelivery(NamedTuple):
    """A delivery that this process sends, and no other process before the claim expires."""

    message_id: UUID
    topic: str
    body: str
    tries: int
    claimed_at: datetime


# Random order, so that no endpoint is always served first.
_DUE_ENDPOINTS = """
select e.organization_id, e.id
  from webhook_endpoints e
 where e.disabled_at is null and e.deleted_at is null and e.id <> all(%s::uuid[])
   and exists (select from webhook_deliveries d
                where d.organization_id = e.organization_id and d.endpoint_id = e.id and d.due_at <= clock_timestamp())
 order by random() limit %s"""

_CLAIM = """
with due as materialized (
    select organization_id, endpoint_id, message_id from webhook_deliveries
     where organization_id = %s and endpoint_id = %s and due_at <= clock_timestamp()
     order by due_at, message_id limit %s for update skip locked)
update webhook_deliveries d
   set due_at = clock_timestamp() + make_interval(secs => %s), tries = d.tries + 1
  from due
 where d.organization_id = due.organization_id and d.endpoint_id = due.endpoint_id and d.message_id = due.message_id
returning d.message_id, d.topic, d.body, d.tries, clock_timestamp()"""

# Only while the claim is still the latest one: after an expired claim or a redelivery, another attempt records the
# result.
_RECORD_ATTEMPT = """
update webhook_deliveries
   set status = %s,
       due_at = clock_timestamp() + make_interval(secs => %s::double precision),
       ended_at = case when %s then null else clock_timestamp() end,
       attempts = case when jsonb_array_length(attempts) >= %s then attempts - 0 else attempts end || %s::jsonb
 where organization_id = %s and endpoint_id = %s and message_id = %s and status = 'pending' and tries = %s"""


async def find_due_endpoints(database: Database, busy: Sequence[UUID], limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Endpoints with due deliveries, except the `busy` ones, in random order."""
    async with database.transaction() as session:
        found = await statements.execute(session, _DUE_ENDPOINTS, [*busy], limit)
        return [(organization_id, endpoint_id) for organization_id, endpoint_id in await found.fetchall()]


async def dispatch(
    database: Database, sender: Sender, organization_id: UUID, endpoint_id: UUID, stop: asyncio.Event
) -> int:
    """Send an endpoint's due deliveries in batches until none is left, one fails, or `stop` is set; the number sent."""
    sent = 0
    for _ in range(BATCHES_MAX):
        count, all_succeeded = await _dispatch_batch(database, sender, organization_id, endpoint_id)
        sent += count
        if not count or not all_succeeded or stop.is_set():
            break
    return sent


async def _dispatch_batch(
    database: Database, sender: Sender, organization_id: UUID, endpoint_id: UUID
) -> tuple[int, bool]:
    began_at = time.monotonic()
    async with database.transaction() as session:
        endpoint = await _find_enabled(session, organization_id, endpoint_id)
        claimed = await _claim(session, endpoint) if endpoint else []
        signs_with_old = bool(claimed) and await _is_old_secret_valid(session, organization_id, endpoint_id)
    if endpoint is None or not claimed:
        return 0, True
    if time.monotonic() > began_at + CLAIM_SECONDS - ATTEMPT_SECONDS:
        # This process was suspended: the claims may expire, and another process send these, before an attempt ends.
        return 0, False
    results = await asyncio.gather(*[_send(sender, endpoint, signs_with_old, one) for one in claimed])
    crash_points.at("after_webhook_before_note")
    async with database.transaction() as session:
        tried = update(WebhookEndpoint).where(_is_endpoint(organization_id, endpoint_id))
        await session.execute(tried.values(tried_at=func.clock_timestamp()))
        for one, result in sorted(zip(claimed, results, strict=True), key=lambda pair: pair[0].message_id):
            await _record_attempt(session, endpoint, one, result)
        if any(result.is_gone for result in results):
            locked = await _find_enabled(session, organization_id, endpoint_id, is_locked=True)
            if locked is not None:
                await disable_endpoint(session, locked, "its receiver answered 410 Gone")
    return len(claimed), all(result.is_success for result in results)


async def _find_enabled(
    session: AsyncSession, organization_id: UUID, endpoint_id: UUID, *, is_locked: bool = False
) -> WebhookEndpoint | None:
    query = select(WebhookEndpoint).where(
        _is_endpoint(organization_id, endpoint_id),
        WebhookEndpoint.disabled_at.is_(None),
        WebhookEndpoint.deleted_at.is_(None),
    )
    return (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()


async def _claim(session: AsyncSession, endpoint: WebhookEndpoint) -> list[ClaimedDelivery]:
    key = endpoint.organization_id, endpoint.id
    found = await statements.execute(session, _CLAIM, *key, CONCURRENCY_MAX, CLAIM_SECONDS)
    return [ClaimedDelivery(*row) for row in await found.fetchall()]


async def _is_old_secret_valid(session: AsyncSession, organization_id: UUID, endpoint_id: UUID) -> bool:
    is_valid = WebhookEndpoint.old_secret_until > func.clock_timestamp()
    return bool(await session.scalar(select(is_valid).where(_is_endpoint(organization_id, endpoint_id))))


def _is_endpoint(organization_id: UUID, endpoint_id: UUID) -> ColumnElement[bool]:
    return (WebhookEndpoint.organization_id == organization_id) & (WebhookEndpoint.id == endpoint_id)


async def _send(sender: Sender, endpoint: WebhookEndpoint, signs_with_old: bool, one: ClaimedDelivery) -> SendResult:
    if one.tries > ATTEMPTS_MAX:  # the process died during every attempt, so none was recorded
        return SendResult(0, error="given_up")
    try:
        secrets = [security.unseal(endpoint.sealed_secret)]
        if signs_with_old and endpoint.sealed_old_secret:
            secrets.append(security.unseal(endpoint.sealed_old_secret))
    except security.SealUnknown:  # its key is no longer in JWT_SECRET; rotating the secret repairs it
        return SendResult(0, error="secret_unreadable")
    return await sender.send(endpoint.url, headers_of(one.message_id, one.claimed_at, one.body, secrets), one.body)


async def _record_attempt(
    session: AsyncSession, endpoint: WebhookEndpoint, one: ClaimedDelivery, result: SendResult
) -> None:
    delay = None if result.is_success or result.is_gone else next_delay(one.tries, result.retry_after_seconds)
    status = DeliveryStatus.DELIVERED if result.is_success else DeliveryStatus.FAILED
    if delay is not None:
        status = DeliveryStatus.PENDING
    attempt = {
        "at": rfc3339(one.claimed_at),
        "status_code": result.status_code,
        "duration_ms": result.duration_ms,
        "error": result.error,
        "snippet": result.snippet,
    }
    outcome = status, delay, delay is not None, STORED_ATTEMPTS_MAX, rows([attempt])
    key = endpoint.organization_id, endpoint.id, one.message_id
    await statements.execute(session, _RECORD_ATTEMPT, *outcome, *key, one.tries)
    metrics.ATTEMPTS.labels("delivered" if result.is_success else "retried" if delay is not None else "failed").inc()
    _log.info("webhook_tried", webhook_id=str(endpoint.id), status=status, code=result.status_code, error=result.error)


def next_delay(tries: int, retry_after_seconds: float | None) -> float | None:
    """Seconds until the next attempt, with jitter to spread retries; None after the last attempt."""
    if tries >= ATTEMPTS_MAX:
        return None
    delay = RETRY_DELAYS[tries - 1] * random.uniform(0.9, 1.1)
    return max(delay, retry_after_seconds or 0)
