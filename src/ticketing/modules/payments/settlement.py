"""What a webhook does: money arrives, does not come, or has gone back. States move forward only.

The order is locked first and then its payment, in every path, so all that arrives for one order stands in line.
Success after failure counts: the money is there. Failure after success does not: money does not un-arrive.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import Cursor, DriverConnection, send
from ticketing.modules import events, orders
from ticketing.modules.payments import refunds
from ticketing.modules.payments.locked_payment import LockedPayment, PendingPayment
from ticketing.modules.payments.messages import PaymentFailed, PaymentReturned, PaymentSucceeded, PaymentSuperseded
from ticketing.modules.payments.models import PaymentEvent, PaymentStatus
from ticketing.modules.payments.queries import find_payment, lock_payment

#: What became of a webhook: it had its effect; it says what was known; its amount is not the one that was asked for.
Outcome = Literal["applied", "seen", "mismatch"]

PAID_TWICE = "This order had been paid already."
EVENT_OFF = "The event is no longer taking place as announced."
SEATS_GONE = "The money came after the hold had run out, and the seats had gone to somebody else."

_ARRIVED = frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED})

_log = log.get_logger(__name__)


async def apply(session: AsyncSession, event: PaymentEvent, pending: PendingPayment) -> Outcome | None:
    """Do what the webhook says; None when nobody here knows what it speaks of."""
    if event.type == "refund.succeeded":
        return await _apply_refund(session, event)
    order, payment = await pending.order.fetch(), await pending.payment.fetch()
    if order is None or payment is None:
        return None
    if (event.amount_minor, event.currency) != (payment.amount_minor, payment.currency):
        return _mismatch(event)
    if event.type == "payment.succeeded":
        return await _money_arrived(session, order, payment, pending.sale, event.received_at)
    return await _money_will_not_come(session, payment)


def _mismatch(event: PaymentEvent) -> Outcome:
    """Keep it for a person: neither the order nor the money is touched on the word of a wrong amount."""
    _log.error(
        "payment_mismatch",
        provider=event.provider,
        event_id=event.event_id,
        provider_ref=event.provider_ref,
        amount_minor=event.amount_minor,
        currency=event.currency,
    )
    return "mismatch"


async def _money_arrived(
    session: AsyncSession,
    order: orders.LockedOrder,
    payment: LockedPayment,
    sale: orders.PendingSale,
    arrived_at: datetime,
) -> Outcome:
    if payment.status in _ARRIVED:
        return "seen"
    if order.status in orders.PAID_STATUSES:
        await _give_back(session, payment, PAID_TWICE, arrived_at)
        return "applied"

    superseded: list[Cursor] = []

    async def note(connection: DriverConnection) -> None:
        superseded.append(await _note_success(session, connection, payment, arrived_at))

    if await orders.pay_order(session, order, sale, note):
        await _tell_superseded(session, superseded[0])
    else:
        await _give_back(session, payment, await _reason(session, order), arrived_at)
    return "applied"


async def _reason(session: AsyncSession, order: orders.LockedOrder) -> str:
    event = await events.get_event(session, order.event_id)
    return SEATS_GONE if event.status == events.EventStatus.PUBLISHED else EVENT_OFF


async def _give_back(session: AsyncSession, due: LockedPayment, reason: str, arrived_at: datetime) -> None:
    payment = await lock_payment(session, due.id)
    payment.status, payment.arrived_at = PaymentStatus.REFUNDED, arrived_at
    outbox.publish(session, PaymentReturned.of(payment, reason=reason))
    await refunds.request_refund(session, payment, payment.amount_minor, reason, None)


async def _note_success(
    session: AsyncSession, connection: DriverConnection, payment: LockedPayment, arrived_at: datetime
) -> Cursor:
    """Answers the other payments of the order that were open, and are not any more."""
    await send(connection, _SUCCEED, arrived_at, payment.id)
    outbox.publish(session, PaymentSucceeded.of(payment))
    return await send(connection, _SUPERSEDE, payment.order_id, payment.id)


async def _tell_superseded(session: AsyncSession, others: Cursor) -> None:
    for row in await others.fetchall():
        outbox.publish(session, PaymentSuperseded.of(LockedPayment(*row)))


async def _money_will_not_come(session: AsyncSession, payment: LockedPayment) -> Outcome:
    if payment.status != PaymentStatus.PENDING:
        return "seen"
    async with statements.round_trip(session) as connection:
        await send(connection, _FAIL, payment.id)
        outbox.publish(session, PaymentFailed.of(payment))
    return "applied"


async def _apply_refund(session: AsyncSession, event: PaymentEvent) -> Outcome | None:
    """The provider may name the refund, or the payment: then the oldest refund of that amount under way is meant."""
    named = await refunds.find_refund(session, event.provider, event.provider_ref)
    payment_id = named.payment_id if named else None
    if payment_id is None:
        paid = await find_payment(session, event.provider, event.provider_ref)
        if paid is None:
            return None
        payment_id = paid.id
    payment = await refunds.lock_with_order(session, payment_id)
    refund = await refunds.lock_refund(session, payment, event.amount_minor, named)
    if refund is None or event.currency != refund.currency or event.amount_minor != refund.amount_minor:
        return _mismatch(event)
    return "applied" if await refunds.complete_refund(session, payment, refund) else "seen"


_SUCCEED = "update payments set status = 'succeeded', arrived_at = %s where id = %s"
_SUPERSEDE = f"""
update payments set status = 'superseded' where order_id = %s and status = 'pending' and id <> %s
returning {", ".join(LockedPayment._fields)}"""  # noqa: S608
_FAIL = "update payments set status = 'failed' where id = %s"
