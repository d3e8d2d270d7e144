"""Store each webhook once and apply it once, in the transaction that receives it.

A webhook whose payment is not known yet has arrived before the payment's transaction committed. It is stored, applied
when the payment is inserted, and retried by the scheduler with exponential back-off, as is a webhook about a refund
that has to wait (see `refunds.at_provider`). After TRIES_MAX tries it is marked as abandoned, which raises an alert.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.db import statements, transaction_time
from ticketing.infra.db.pipeline import send
from ticketing.infra.metrics import Counter
from ticketing.modules.payments import refunds, settlement
from ticketing.modules.payments.locked_payment import PendingPayment, lock_payment_of
from ticketing.modules.payments.models import Payment, PaymentEvent
from ticketing.modules.payments.providers import ProviderEvent

#: The pauses before the tries are 1 s, 2 s, 4 s, …: the last try is after eighteen hours.
TRIES_MAX = 16
#: Webhooks that are applied with their payment; the retries take the rest.
APPLIED_MAX = 20

PAYMENTS = Counter("ticketing_payments_total", "Payments, by outcome", ["provider", "outcome"])

_log = log.get_logger(__name__)


_INSERT = """
insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, object_ref, refund_id,
                            reason, body)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb) on conflict do nothing
returning received_at"""


async def receive_event(session: AsyncSession, provider: str, event: ProviderEvent) -> bool:
    """Store a verified webhook and apply it. Returns False when it has to wait: see `settlement.apply`."""
    event = replace(event, reason=refunds.bounded(event.reason))
    money = (event.amount_minor, event.currency)
    values = (event.type, event.provider_ref, *money, event.object_ref, event.refund_id, event.reason)
    body = orjson.dumps(event.body).decode()
    async with statements.round_trip(session) as connection:
        # ON CONFLICT waits for a concurrent insert of the same webhook, without aborting this transaction.
        inserted = await send(connection, _INSERT, provider, event.event_id, *values, body)
        pending = await lock_payment_of(connection, provider, event.provider_ref)
    row = await inserted.fetchone() or await _lock_unprocessed(session, provider, event.event_id)
    return row is None or await _process(session, _stored_event(provider, event, row[0]), pending)


_LOCK_UNPROCESSED = """
select received_at from payment_events where provider = %s and event_id = %s and processed_at is null for update"""


async def _lock_unprocessed(session: AsyncSession, provider: str, event_id: str) -> tuple[Any, ...] | None:
    """Return when this webhook was first received; None when it has been processed."""
    async with statements.round_trip(session) as connection:
        found = await send(connection, _LOCK_UNPROCESSED, provider, event_id)
    return await found.fetchone()


def _stored_event(provider: str, event: ProviderEvent, received_at: datetime) -> PaymentEvent:
    """Return the stored row as a detached model."""
    return PaymentEvent(
        provider=provider,
        event_id=event.event_id,
        type=event.type,
        provider_ref=event.provider_ref,
        amount_minor=event.amount_minor,
        currency=event.currency,
        object_ref=event.object_ref,
        refund_id=event.refund_id,
        reason=event.reason,
        received_at=received_at,
    )


_MARK_PROCESSED = """
update payment_events set outcome = %s, processed_at = now() where provider = %s and event_id = %s"""


async def _process(session: AsyncSession, row: PaymentEvent, pending: PendingPayment) -> bool:
    outcome = await settlement.apply(session, row, pending)
    if outcome is None:
        return False
    async with statements.round_trip(session) as connection:
        await send(connection, _MARK_PROCESSED, outcome, row.provider, row.event_id)
    PAYMENTS.labels(row.provider, f"{row.type}:{outcome}").inc()
    return True


async def apply_waiting(session: AsyncSession, payment: Payment) -> None:
    """Apply the webhooks that arrived before this payment existed. The caller has locked the order."""
    about = (PaymentEvent.provider == payment.provider) & (PaymentEvent.provider_ref == payment.provider_ref)
    query = select(PaymentEvent).where(PaymentEvent.processed_at.is_(None), about).order_by(PaymentEvent.received_at)
    # A row locked by another transaction is being processed there.
    for row in (await session.scalars(query.limit(APPLIED_MAX).with_for_update(skip_locked=True))).all():
        async with statements.round_trip(session) as connection:
            pending = await lock_payment_of(connection, row.provider, row.provider_ref)
        await _process(session, row, pending)


_NEXT_DUE = """
select provider, event_id, provider_ref from payment_events
 where processed_at is null and due_at <= now() order by due_at limit 1"""


async def retry_waiting_event(session: AsyncSession) -> int:
    """Try the waiting webhook that has been due for longest. Returns 0 when none is due, or another process has it.

    One per transaction: the locks of a sale stay until its commit, and a second order could be locked by a transaction
    that waits for them. The order is locked before the webhook's row, as in `receive_event`; the other way round, a
    repetition of the webhook, which holds the order, would wait for the row, and this transaction for the order.
    """
    found = await (await statements.execute(session, _NEXT_DUE)).fetchone()
    if found is None:
        return 0
    provider, event_id, provider_ref = found
    async with statements.round_trip(session) as connection:
        pending = await lock_payment_of(connection, provider, provider_ref)
    is_it = (PaymentEvent.provider == provider) & (PaymentEvent.event_id == event_id)
    query = select(PaymentEvent).where(is_it, PaymentEvent.processed_at.is_(None), PaymentEvent.due_at <= func.now())
    row = await session.scalar(query.with_for_update(skip_locked=True))
    if row is None:
        return 0
    await _retry(session, row, pending)
    return 1


async def _retry(session: AsyncSession, row: PaymentEvent, pending: PendingPayment) -> None:
    name = {"provider": row.provider, "event_id": row.event_id, "provider_ref": row.provider_ref}
    try:
        async with session.begin_nested():
            if await _process(session, row, pending):
                return
    except Exception as error:
        # The failure counts as a try, so that this webhook does not block the others.
        _log.error("webhook_retry_failed", **name, exc_info=error)
    await session.refresh(row)
    row.tries += 1
    row.due_at = func.now() + timedelta(seconds=2**row.tries)
    if row.tries >= TRIES_MAX:
        row.outcome, row.processed_at = "abandoned", await transaction_time(session)
        _log.error("webhook_abandoned", **name)
