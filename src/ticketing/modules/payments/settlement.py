"""Apply webhooks about payments, and pass on those about refunds; close payments. Statuses only move forward.

Every path locks the order first and then the payment, so webhooks of one order are applied one after another.
Success after failure is applied, because the money has arrived. Failure after success is ignored: money that has
arrived is returned by a refund only.
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log, outbox
from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import Cursor, DriverConnection, send
from ticketing.modules import events, orders
from ticketing.modules.payments import refunds
from ticketing.modules.payments.locked_payment import LockedPayment, PendingPayment
from ticketing.modules.payments.messages import (
    PaymentCancelled,
    PaymentFailed,
    PaymentReturned,
    PaymentSucceeded,
    PaymentSuperseded,
)
from ticketing.modules.payments.models import Outcome, PaymentEvent, PaymentStatus
from ticketing.modules.payments.queries import lock_payment

PAID_TWICE = "This order had been paid already."
#: The reason of the refund, as the buyer reads it.
REASONS = {
    orders.Unsold.EVENT_OFF: "The event is no longer taking place as announced.",
    orders.Unsold.GIVEN_BACK: "The seats had been given back before the money came.",
    orders.Unsold.SALE_ENDED: "The money came after the hold had run out, and the sale had ended.",
    orders.Unsold.LIMIT_REACHED: (
        "The money came after the hold had run out, and the buyer has as many tickets of this event as one person may."
    ),
    orders.Unsold.SEATS_GONE: "The money came after the hold had run out, and the seats had gone to somebody else.",
}

_ARRIVED = frozenset({PaymentStatus.SUCCEEDED, PaymentStatus.REFUNDED})

_log = log.get_logger(__name__)


async def apply(session: AsyncSession, event: PaymentEvent, pending: PendingPayment) -> Outcome | None:
    """Apply the webhook. Returns None when its reference is unknown, or it has to wait (see `refunds.at_provider`)."""
    is_of_payment = event.type in ("payment.succeeded", "payment.failed")
    outcome = await (_apply(session, event, pending) if is_of_payment else refunds.apply_event(session, event))
    if outcome == "mismatch":
        _report_mismatch(event)
    return outcome


async def _apply(session: AsyncSession, event: PaymentEvent, pending: PendingPayment) -> Outcome | None:
    order, payment = await pending.order.fetch(), await pending.payment.fetch()
    if order is None or payment is None:
        return None
    if (event.amount_minor, event.currency) != (payment.amount_minor, payment.currency):
        return "mismatch"
    if event.type == "payment.succeeded":
        return await _apply_success(session, order, payment, pending.sale, event.received_at)
    return await _apply_failure(session, payment)


def _report_mismatch(event: PaymentEvent) -> None:
    """Log for an operator: a webhook with a wrong amount is not trusted, and has changed nothing."""
    _log.error(
        "payment_mismatch",
        provider=event.provider,
        event_id=event.event_id,
        provider_ref=event.provider_ref,
        amount_minor=event.amount_minor,
        currency=event.currency,
    )


async def _apply_success(
    session: AsyncSession,
    order: orders.LockedOrder,
    payment: LockedPayment,
    sale: orders.PendingSale,
    arrived_at: datetime,
) -> Outcome:
    if payment.status in _ARRIVED:
        return "seen"
    if order.status in orders.PAID_STATUSES:
        await _return_payment(session, payment, PAID_TWICE, arrived_at)
        return "applied"

    superseded: list[Cursor] = []

    async def write_payment(connection: DriverConnection) -> None:
        superseded.append(await _record_success(session, connection, payment, arrived_at))

    unsold = await orders.pay_order(session, order, sale, write_payment)
    if unsold is None:
        await _publish_superseded(session, superseded[0])
    else:
        await _return_payment(session, payment, REASONS[unsold], arrived_at)
    return "applied"


async def _return_payment(session: AsyncSession, locked: LockedPayment, reason: str, arrived_at: datetime) -> None:
    payment = await lock_payment(session, locked.id)
    payment.status, payment.arrived_at, payment.is_returned = PaymentStatus.REFUNDED, arrived_at, True
    outbox.publish(session, PaymentReturned.of(payment, reason=reason))
    await refunds.request_refund(session, payment, payment.amount_minor, reason, None)


_MARK_SUCCEEDED = "update payments set status = 'succeeded', arrived_at = %s where id = %s"
_SUPERSEDE = f"""
update payments set status = 'superseded' where order_id = %s and status = 'pending' and id <> %s
returning provider_ref is not null, {", ".join(LockedPayment._fields)}"""  # noqa: S608


async def _record_success(
    session: AsyncSession, connection: DriverConnection, payment: LockedPayment, arrived_at: datetime
) -> Cursor:
    """Returns the order's other pending payments, which are superseded."""
    await send(connection, _MARK_SUCCEEDED, arrived_at, payment.id)
    outbox.publish(session, PaymentSucceeded.of(payment))
    return await send(connection, _SUPERSEDE, payment.order_id, payment.id)


async def _publish_superseded(session: AsyncSession, others: Cursor) -> None:
    for was_created, *row in await others.fetchall():
        if was_created:
            outbox.publish(session, PaymentSuperseded.of(LockedPayment(*row)))


_MARK_FAILED = "update payments set status = 'failed' where id = %s"


async def _apply_failure(session: AsyncSession, payment: LockedPayment) -> Outcome:
    if payment.status != PaymentStatus.PENDING:
        return "seen"
    async with statements.round_trip(session) as connection:
        await send(connection, _MARK_FAILED, payment.id)
        outbox.publish(session, PaymentFailed.of(payment))
    return "applied"


_CANCEL = f"""
update payments set status = 'cancelled' where order_id = %s and status = 'pending'
returning provider_ref is not null, {", ".join(LockedPayment._fields)}"""  # noqa: S608


async def close_payment(session: AsyncSession, message: orders.OrderCancelled | orders.OrderExpired) -> None:
    """Cancel the open payment of a cancelled order, and of an expired one whose event is not on sale any more.

    The payment of another expired order stays open: it may still arrive, and buy the same seats. What late money may
    buy is decided by the order and its hold (see `orders.sale_checks`): it may arrive before this message is consumed.
    """
    order = await orders.lock_order(session, message.order_id)
    if order.status not in {orders.OrderStatus.CANCELLED, orders.OrderStatus.EXPIRED}:
        return
    if order.status == orders.OrderStatus.EXPIRED:
        event = await events.get_event(session, order.event_id)
        if event.status == events.EventStatus.PUBLISHED:
            return
    cancelled = await statements.execute(session, _CANCEL, order.id)
    for was_created, *row in await cancelled.fetchall():
        if was_created:
            outbox.publish(session, PaymentCancelled.of(LockedPayment(*row)))
