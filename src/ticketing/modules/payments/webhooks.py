"""Webhooks: each is kept once and has its effect once, in the transaction that takes it.

One that speaks of a payment we don't know yet has overtaken it. It is kept, and tried again when the payment appears
and by the clock, ever more rarely, until it is given up and a person is told.
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

#: Try n comes 2^n seconds after the webhook: 1 s, 2 s, 4 s, … the last after eighteen hours.
TRIES_MAX = 16
#: Orders are locked on the way, all in one transaction: a few at a time, so that nobody waits long for one.
BATCH_ROWS = 20

PAYMENTS = Counter("ticketing_payments_total", "Payments, by outcome", ["provider", "outcome"])

_log = log.get_logger(__name__)


async def take_event(session: AsyncSession, provider: str, event: ProviderEvent) -> bool:
    """Keep a verified webhook and do what it says; False when the payment that it speaks of is not known yet."""
    told = (event.type, event.provider_ref, event.amount_minor, event.currency)
    body = orjson.dumps(event.body).decode()
    async with statements.round_trip(session) as connection:
        # ON CONFLICT waits for a twin that is being taken at this moment, and leaves our transaction whole.
        kept = await send(connection, _KEEP, provider, event.event_id, *told, body)
        pending = await lock_payment_of(connection, provider, event.provider_ref)
    row = await kept.fetchone() or await _find_undone(session, provider, event.event_id)
    return row is None or await _process(session, _as_kept(provider, event, row[0]), pending)


async def _find_undone(session: AsyncSession, provider: str, event_id: str) -> tuple[Any, ...] | None:
    """When this webhook came first; None when it has had its effect since."""
    async with statements.round_trip(session) as connection:
        found = await send(connection, _UNDONE, provider, event_id)
    return await found.fetchone()


def _as_kept(provider: str, event: ProviderEvent, received_at: datetime) -> PaymentEvent:
    """The row, as a model that no session knows."""
    return PaymentEvent(
        provider=provider,
        event_id=event.event_id,
        type=event.type,
        provider_ref=event.provider_ref,
        amount_minor=event.amount_minor,
        currency=event.currency,
        received_at=received_at,
    )


async def _process(session: AsyncSession, row: PaymentEvent, pending: PendingPayment) -> bool:
    outcome = await settlement.apply(session, row, pending)
    if outcome is None:
        return False
    async with statements.round_trip(session) as connection:
        await send(connection, _DONE, outcome, row.provider, row.event_id)
    PAYMENTS.labels(row.provider, f"{row.type}:{outcome}").inc()
    return True


async def _process_kept(session: AsyncSession, row: PaymentEvent) -> bool:
    async with statements.round_trip(session) as connection:
        pending = await lock_payment_of(connection, row.provider, row.provider_ref)
    return await _process(session, row, pending)


async def apply_waiting(session: AsyncSession, payment: Payment) -> None:
    """Do what webhooks said about this payment before it was there; its order is locked by the caller."""
    for row in await _lock_waiting(
        session, PaymentEvent.provider == payment.provider, PaymentEvent.provider_ref == payment.provider_ref
    ):
        await _process_kept(session, row)


async def retry_waiting_events(session: AsyncSession) -> int:
    """Try again the webhooks whose time has come; the number that had their effect."""
    age = func.make_interval(0, 0, 0, 0, 0, 0, func.power(2, PaymentEvent.tries))
    is_due = PaymentEvent.received_at + age <= func.now()
    return sum([await _retry(session, row) for row in await _lock_waiting(session, is_due)])


async def _retry(session: AsyncSession, row: PaymentEvent) -> bool:
    name = {"provider": row.provider, "event_id": row.event_id, "provider_ref": row.provider_ref}
    try:
        async with session.begin_nested():
            if await _process_kept(session, row):
                return True
    except Exception as error:
        # One that fails must not stand in the way of the others, and has used up a try as well.
        _log.error("webhook_retry_failed", **name, exc_info=error)
    await session.refresh(row)
    row.tries += 1
    if row.tries >= TRIES_MAX:
        row.outcome, row.processed_at = "abandoned", await session.scalar(select(func.now()))
        _log.error("webhook_abandoned", **name)
    return False


async def _lock_waiting(session: AsyncSession, *conditions: ColumnElement[bool]) -> Sequence[PaymentEvent]:
    query = select(PaymentEvent).where(PaymentEvent.processed_at.is_(None), *conditions)
    # Who holds one of them is doing this very work, and may be waiting for the order that we have locked.
    query = query.order_by(PaymentEvent.received_at).limit(BATCH_ROWS).with_for_update(skip_locked=True)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


_KEEP = """
insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body)
values (%s, %s, %s, %s, %s, %s, %s::jsonb) on conflict do nothing
returning received_at"""
_UNDONE = """
select received_at from payment_events where provider = %s and event_id = %s and processed_at is null for update"""
_DONE = "update payment_events set outcome = %s, processed_at = now() where provider = %s and event_id = %s"
