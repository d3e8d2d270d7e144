"""Store each webhook once and apply it once, in the transaction that receives it.

A webhook whose payment is not known yet has arrived before the payment's transaction committed. It is stored, applied
when the payment is inserted, and retried by the scheduler with exponential back-off. After TRIES_MAX tries it is
marked as abandoned, which raises an alert.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import send
from ticketing.infra.metrics import Counter
from ticketing.modules.payments import settlement
from ticketing.modules.payments.locked_payment import PendingPayment, lock_payment_of
from ticketing.modules.payments.models import Payment, PaymentEvent
from ticketing.modules.payments.providers import ProviderEvent

#: Try n runs 2^n seconds after the webhook was received: 1 s, 2 s, 4 s, … the last after eighteen hours.
TRIES_MAX = 16
#: A batch is one transaction that locks an order per row: small batches keep the waits of other transactions short.
BATCH_ROWS = 20

PAYMENTS = Counter("ticketing_payments_total", "Payments, by outcome", ["provider", "outcome"])

_log = log.get_logger(__name__)


_INSERT = """
insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body)
values (%s, %s, %s, %s, %s, %s, %s::jsonb) on conflict do nothing
returning received_at"""


async def receive_event(session: AsyncSession, provider: str, event: ProviderEvent) -> bool:
    """Store a verified webhook and apply it. Returns False when its payment is not known yet."""
    values = (event.type, event.provider_ref, event.amount_minor, event.currency)
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


async def _process_stored(session: AsyncSession, row: PaymentEvent) -> bool:
    async with statements.round_trip(session) as connection:
        pending = await lock_payment_of(connection, row.provider, row.provider_ref)
    return await _process(session, row, pending)


async def apply_waiting(session: AsyncSession, payment: Payment) -> None:
    """Apply the webhooks that arrived before this payment existed. The caller has locked the order."""
    for row in await _lock_waiting(
        session, PaymentEvent.provider == payment.provider, PaymentEvent.provider_ref == payment.provider_ref
    ):
        await _process_stored(session, row)


async def retry_waiting_events(session: AsyncSession) -> int:
    """Retry waiting webhooks whose back-off is over. Returns the number that were processed."""
    age = func.make_interval(0, 0, 0, 0, 0, 0, func.power(2, PaymentEvent.tries))
    is_due = PaymentEvent.received_at + age <= func.now()
    return sum([await _retry(session, row) for row in await _lock_waiting(session, is_due)])


async def _retry(session: AsyncSession, row: PaymentEvent) -> bool:
    name = {"provider": row.provider, "event_id": row.event_id, "provider_ref": row.provider_ref}
    try:
        async with session.begin_nested():
            if await _process_stored(session, row):
                return True
    except Exception as error:
        # A failing webhook must not block the others of the batch. The failure counts as a try.
        _log.error("webhook_retry_failed", **name, exc_info=error)
    await session.refresh(row)
    row.tries += 1
    if row.tries >= TRIES_MAX:
        row.outcome, row.processed_at = "abandoned", await session.scalar(select(func.now()))
        _log.error("webhook_abandoned", **name)
    return False


async def _lock_waiting(session: AsyncSession, *conditions: ColumnElement[bool]) -> Sequence[PaymentEvent]:
    query = select(PaymentEvent).where(PaymentEvent.processed_at.is_(None), *conditions)
    # A row locked by another transaction is being processed there. Waiting for it could deadlock: that transaction may
    # be waiting for the order that this one has locked.
    query = query.order_by(PaymentEvent.received_at).limit(BATCH_ROWS).with_for_update(skip_locked=True)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()
