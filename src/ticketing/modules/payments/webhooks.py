"""Webhooks: each is kept once and has its effect once, in the transaction that takes it.

One that speaks of a payment we don't know yet has overtaken it. It is kept, and tried again when the payment appears
and by the clock, ever more rarely, until it is given up and a person is told.
"""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, metrics
from ticketing.modules.payments import settle
from ticketing.modules.payments.models import Payment, PaymentEvent
from ticketing.modules.payments.providers import ProviderEvent

#: Try n comes 2^n seconds after the webhook: 1 s, 2 s, 4 s, … the last after eighteen hours.
TRIES_MAX = 16
#: Orders are locked on the way, all in one transaction: a few at a time, so that nobody waits long for one.
BATCH_ROWS = 20

_log = log.get_logger(__name__)


async def take_event(session: AsyncSession, provider: str, event: ProviderEvent) -> bool:
    """Keep a verified webhook and do what it says; False when the payment that it speaks of is not known yet."""
    row = await _keep(session, provider, event)
    if row.processed_at is not None:
        return True
    return await _process(session, row)


async def _keep(session: AsyncSession, provider: str, event: ProviderEvent) -> PaymentEvent:
    row = insert(PaymentEvent).values(
        provider=provider,
        event_id=event.event_id,
        type=event.type,
        provider_ref=event.provider_ref,
        amount_minor=event.amount_minor,
        currency=event.currency,
        body=event.body,
    )
    # ON CONFLICT waits for a twin that is being taken at this moment, and leaves our transaction whole.
    kept: PaymentEvent | None = await session.scalar(row.on_conflict_do_nothing().returning(PaymentEvent))
    if kept is not None:
        return kept
    again = select(PaymentEvent).where(PaymentEvent.provider == provider, PaymentEvent.event_id == event.event_id)
    return (await session.scalars(again.with_for_update())).one()


async def _process(session: AsyncSession, row: PaymentEvent) -> bool:
    outcome = await settle.apply(session, row)
    if outcome is None:
        return False
    row.outcome, row.processed_at = outcome, await session.scalar(select(func.now()))
    metrics.PAYMENTS.labels(row.provider, f"{row.type}:{outcome}").inc()
    return True


async def apply_waiting(session: AsyncSession, payment: Payment) -> None:
    """Do what webhooks said about this payment before it was there; its order is locked by the caller."""
    await session.flush()  # the payment has to be found under its new reference
    for row in await _lock_waiting(
        session, PaymentEvent.provider == payment.provider, PaymentEvent.provider_ref == payment.provider_ref
    ):
        await _process(session, row)


async def retry_waiting_events(session: AsyncSession) -> int:
    """Try again the webhooks whose time has come; the number that had their effect."""
    age = func.make_interval(0, 0, 0, 0, 0, 0, func.power(2, PaymentEvent.tries))
    is_due = PaymentEvent.received_at + age <= func.now()
    return sum([await _retry(session, row) for row in await _lock_waiting(session, is_due)])


async def _retry(session: AsyncSession, row: PaymentEvent) -> bool:
    name = {"provider": row.provider, "event_id": row.event_id, "provider_ref": row.provider_ref}
    try:
        async with session.begin_nested():
            if await _process(session, row):
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
