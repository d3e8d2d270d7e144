"""What a webhook does: money arrives, does not come, or has gone back. States move forward only.

The order is locked first and then its payment, in every path, so all that arrives for one order stands in line.
Success after failure counts: the money is there. Failure after success does not: money does not un-arrive.
"""

from datetime import datetime
from typing import Literal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.modules import events, orders
from ticketing.modules.payments import refunds
from ticketing.modules.payments.messages import PaymentFailed, PaymentReturned, PaymentSucceeded, PaymentSuperseded
from ticketing.modules.payments.models import Payment, PaymentEvent, PaymentStatus
from ticketing.modules.payments.queries import enter_by_reference, find_payment, lock_payment

#: What became of a webhook: it had its effect; it says what was known; its amount is not the one that was asked for.
Outcome = Literal["applied", "seen", "mismatch"]

PAID_TWICE = "This order had been paid already."
EVENT_OFF = "The event is no longer taking place as announced."
SEATS_GONE = "The money came after the hold had run out, and the seats had gone to somebody else."

_ARRIVED = frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED})

_log = log.get_logger(__name__)


async def apply(session: AsyncSession, event: PaymentEvent) -> Outcome | None:
    """Do what the webhook says; None when nobody here knows what it speaks of."""
    if await enter_by_reference(session, event.provider, event.provider_ref) is None:
        return None
    if event.type == "refund.succeeded":
        return await _apply_refund(session, event)
    return await _apply_payment(session, event)


async def _apply_payment(session: AsyncSession, event: PaymentEvent) -> Outcome | None:
    found = await find_payment(session, event.provider, event.provider_ref)
    if found is None:
        return None
    order = await orders.lock_order(session, found.order_id)
    payment = await lock_payment(session, found.id)
    if (event.amount_minor, event.currency) != (payment.amount_minor, payment.currency):
        return _mismatch(event)
    if event.type == "payment.succeeded":
        return await _money_arrived(session, order, payment, event.received_at)
    return _money_will_not_come(session, payment)


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


async def _money_arrived(session: AsyncSession, order: orders.Order, payment: Payment, arrived_at: datetime) -> Outcome:
    if payment.status in _ARRIVED:
        return "seen"
    if order.status in orders.SETTLED:
        await _give_back(session, payment, PAID_TWICE)
    elif await orders.pay_order(session, order.id):
        payment.status = PaymentStatus.SUCCEEDED
        await _supersede_others(session, payment)
        outbox.publish(session, PaymentSucceeded.of(payment))
    else:
        await _give_back(session, payment, await _reason(session, order))
    payment.arrived_at = arrived_at
    return "applied"


async def _reason(session: AsyncSession, order: orders.Order) -> str:
    event = await events.get_event(session, order.event_id)
    return SEATS_GONE if event.status == events.EventStatus.PUBLISHED else EVENT_OFF


async def _give_back(session: AsyncSession, payment: Payment, reason: str) -> None:
    payment.status = PaymentStatus.REFUNDED
    outbox.publish(session, PaymentReturned.of(payment, reason=reason))
    await refunds.request_refund(session, payment, payment.amount_minor, reason, None)


async def _supersede_others(session: AsyncSession, payment: Payment) -> None:
    others = update(Payment).where(
        Payment.order_id == payment.order_id, Payment.status == PaymentStatus.PENDING, Payment.id != payment.id
    )
    for other in await session.scalars(others.values(status=PaymentStatus.SUPERSEDED).returning(Payment)):
        outbox.publish(session, PaymentSuperseded.of(other))


def _money_will_not_come(session: AsyncSession, payment: Payment) -> Outcome:
    if payment.status != PaymentStatus.PENDING:
        return "seen"
    payment.status = PaymentStatus.FAILED
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
