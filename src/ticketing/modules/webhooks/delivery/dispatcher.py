"""An endpoint's turn: claim what is due, send it while no transaction is open, and write down what came of it.

A claim moves a delivery to where it runs out. Whoever is killed between sending and writing has sent something that is
sent again then, under the same id: at least once, and a receiver that knows its ids takes it once.
"""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log, security
from ticketing.infra.db import Database
from ticketing.infra.http.fields import rfc3339
from ticketing.modules.webhooks.delivery import metrics
from ticketing.modules.webhooks.delivery.sender import Answer, Sender, headers_of
from ticketing.modules.webhooks.endpoints import disable_endpoint
from ticketing.modules.webhooks.models import DeliveryStatus, WebhookEndpoint

#: Seconds from each failure to the next try, over three days; the first is at once.
DELAYS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
TRIES_MAX = len(DELAYS) + 1
#: Sent to one endpoint at a time by one process.
AT_ONCE = 4
#: Longer than a try can take.
CLAIM_SECONDS = 60
#: After so many rounds it is somebody else's turn, however much is due.
ROUNDS_MAX = 25
#: Tries that the log keeps of one delivery: redelivered for ever, it does not grow for ever.
ATTEMPTS_KEPT = 30

_log = log.get_logger(__name__)
crash_points.register("after_webhook_before_note", "a receiver has accepted webhooks, and none of it is recorded")


class Claimed(NamedTuple):
    """What one process has taken upon itself to send, until its claim runs out."""

    message_id: UUID
    topic: str
    body: str
    tries: int
    claimed_at: datetime


async def find_due(database: Database, busy: Sequence[UUID], limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Endpoints to which something is due, without those that have their turn; the order is nobody's to gain from."""
    async with database.transaction() as session:
        rows = await session.execute(_WITH_DUE, {"busy": [*busy], "limit": limit})
        return [(row[0], row[1]) for row in rows]


async def take_turn(
    database: Database, sender: Sender, organization_id: UUID, endpoint_id: UUID, stop: asyncio.Event
) -> int:
    """Send what is due, a few at a time, until there is nothing, one fails, or `stop` is set; the number sent."""
    sent = 0
    for _ in range(ROUNDS_MAX):
        done, is_well = await _take_round(database, sender, organization_id, endpoint_id)
        sent += done
        if not done or not is_well or stop.is_set():
            break
    return sent


async def _take_round(database: Database, sender: Sender, organization_id: UUID, endpoint_id: UUID) -> tuple[int, bool]:
    place = {"organization_id": organization_id, "endpoint_id": endpoint_id}
    async with database.transaction() as session:
        endpoint = await _find_enabled(session, organization_id, endpoint_id)
        asked = {**place, "limit": AT_ONCE, "seconds": CLAIM_SECONDS}
        claimed = [Claimed(*row) for row in await session.execute(_CLAIM, asked)] if endpoint else []
        has_old = bool(claimed) and await session.scalar(_HAS_OLD_SECRET, place)
    if endpoint is None or not claimed:
        return 0, True
    answers = await asyncio.gather(*[_send(sender, endpoint, bool(has_old), one) for one in claimed])
    crash_points.at("after_webhook_before_note")
    async with database.transaction() as session:
        await session.execute(_TRIED, place)
        for one, answer in sorted(zip(claimed, answers, strict=True), key=lambda pair: pair[0].message_id):
            await _note(session, endpoint, one, answer)
        if any(answer.is_gone for answer in answers):
            locked = await _find_enabled(session, organization_id, endpoint_id, is_locked=True)
            if locked is not None:
                await disable_endpoint(session, locked, "its receiver answered 410 Gone")
    return len(claimed), all(answer.is_success for answer in answers)


async def _find_enabled(
    session: AsyncSession, organization_id: UUID, endpoint_id: UUID, *, is_locked: bool = False
) -> WebhookEndpoint | None:
    its = (WebhookEndpoint.organization_id == organization_id) & (WebhookEndpoint.id == endpoint_id)
    query = select(WebhookEndpoint).where(
        its, WebhookEndpoint.disabled_at.is_(None), WebhookEndpoint.deleted_at.is_(None)
    )
    return (await session.scalars(query.with_for_update() if is_locked else query)).one_or_none()


async def _send(sender: Sender, endpoint: WebhookEndpoint, has_old: bool, one: Claimed) -> Answer:
    if one.tries > TRIES_MAX:  # every try was begun, and none was written down
        return Answer(0, error="given_up")
    try:
        secrets = [security.unseal(endpoint.sealed_secret)]
        if has_old and endpoint.sealed_old_secret:
            secrets.append(security.unseal(endpoint.sealed_old_secret))
    except security.SealUnknown:  # its key is gone from JWT_SECRET; a rotation makes a new one
        return Answer(0, error="secret_unreadable")
    return await sender.send(endpoint.url, headers_of(one.message_id, one.claimed_at, one.body, secrets), one.body)


async def _note(session: AsyncSession, endpoint: WebhookEndpoint, one: Claimed, answer: Answer) -> None:
    delay = None if answer.is_success or answer.is_gone else next_delay(one.tries, answer.retry_after_seconds)
    status = DeliveryStatus.DELIVERED if answer.is_success else DeliveryStatus.FAILED
    if delay is not None:
        status = DeliveryStatus.PENDING
    attempt = {
        "at": rfc3339(one.claimed_at),
        "status_code": answer.status_code,
        "duration_ms": answer.duration_ms,
        "error": answer.error,
        "snippet": answer.snippet,
    }
    place = {"organization_id": endpoint.organization_id, "endpoint_id": endpoint.id, "message_id": one.message_id}
    outcome = {"tries": one.tries, "status": status, "delay": delay, "kept": ATTEMPTS_KEPT}
    await session.execute(_NOTE, {**place, **outcome, "attempt": orjson.dumps([attempt]).decode()})
    metrics.ATTEMPTS.labels("delivered" if answer.is_success else "retried" if delay is not None else "failed").inc()
    _log.info("webhook_tried", webhook_id=str(endpoint.id), status=status, code=answer.status_code, error=answer.error)


def next_delay(tries: int, retry_after_seconds: float | None) -> float | None:
    """Seconds until the next try, with jitter so that many don't return as one; None when this was the last."""
    if tries >= TRIES_MAX:
        return None
    delay = DELAYS[tries - 1] * random.uniform(0.9, 1.1)
    return max(delay, retry_after_seconds or 0)


_WITH_DUE = text("""
select e.organization_id, e.id
  from webhook_endpoints e
 where e.disabled_at is null and e.deleted_at is null and e.id <> all(cast(:busy as uuid[]))
   and exists (select from webhook_deliveries d
                where d.organization_id = e.organization_id and d.endpoint_id = e.id and d.due_at <= clock_timestamp())
 order by random() limit :limit""")

_CLAIM = text("""
with due as materialized (
    select organization_id, endpoint_id, message_id from webhook_deliveries
     where organization_id = :organization_id and endpoint_id = :endpoint_id and due_at <= clock_timestamp()
     order by due_at, message_id limit :limit for update skip locked)
update webhook_deliveries d
   set due_at = clock_timestamp() + make_interval(secs => :seconds), tries = d.tries + 1
  from due
 where d.organization_id = due.organization_id and d.endpoint_id = due.endpoint_id and d.message_id = due.message_id
returning d.message_id, d.topic, d.body, d.tries, clock_timestamp()""")

_HAS_OLD_SECRET = text("""
select old_secret_until > clock_timestamp() from webhook_endpoints
 where organization_id = :organization_id and id = :endpoint_id""")

_TRIED = text("""
update webhook_endpoints set tried_at = clock_timestamp()
 where organization_id = :organization_id and id = :endpoint_id""")

# Only what is still this claim's: one that ran out, or that somebody asked for anew, is another's to write down.
_NOTE = text("""
update webhook_deliveries
   set status = :status,
       due_at = clock_timestamp() + make_interval(secs => cast(:delay as double precision)),
       ended_at = case when :status = 'pending' then null else clock_timestamp() end,
       attempts = case when jsonb_array_length(attempts) >= :kept then attempts - 0 else attempts end
                  || cast(:attempt as jsonb)
 where organization_id = :organization_id and endpoint_id = :endpoint_id and message_id = :message_id
   and status = 'pending' and tries = :tries""")
