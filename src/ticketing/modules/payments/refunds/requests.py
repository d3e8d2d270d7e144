"""Refunds that the platform requests: capped by what is left of the payment, sent later by `sender`.

A refund moves money only; voiding tickets is a separate operation.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.errors import Conflict, Invalid
from ticketing.modules import orders
from ticketing.modules.payments.messages import RefundRequested
from ticketing.modules.payments.models import Payment, PaymentStatus, Refund, RefundOrigin, RefundStatus


class NothingToRefund(Conflict):
    """This order has no payment, or all of it has been refunded already."""

    code = "nothing_to_refund"


class RefundTooLarge(Conflict):
    """This is more than the part of the payment that has not been refunded yet."""

    code = "refund_too_large"


async def refund_order(
    session: AsyncSession,
    order: orders.Order,
    amount_minor: int | None,
    reason: str,
    requested_by: UUID | None,
    payment_id: UUID | None = None,
) -> Refund:
    """Request a refund of `amount_minor` minor units, or of the whole remainder when None. Voids no ticket.

    The money is that of the payment that paid the order, or of `payment_id`: a payment that arrived twice or too late,
    whose refund failed, is refunded again by its id.

    Raises:
        NothingToRefund, RefundTooLarge (with `refundable_minor`), Invalid: not a payment of this order.
    """
    await orders.lock_order(session, order.id)
    query = select(Payment).where(Payment.organization_id == order.organization_id, Payment.order_id == order.id)
    if payment_id is None:
        query = query.where(Payment.status == PaymentStatus.SUCCEEDED)
    else:
        query = query.where(Payment.id == payment_id, Payment.provider_ref.is_not(None))
    payment = await session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if payment is None and payment_id is not None:
        raise Invalid("This is not a payment of this order.", field="payment_id")
    if payment is None or payment.arrived_at is None or payment.refunded_minor == payment.amount_minor:
        raise NothingToRefund
    left = payment.amount_minor - payment.refunded_minor
    return await request_refund(session, payment, left if amount_minor is None else amount_minor, reason, requested_by)


async def request_refund(
    session: AsyncSession, payment: Payment, amount_minor: int, reason: str, requested_by: UUID | None
) -> Refund:
    """Request a refund of a payment that the caller has locked. A consumer queues it for its provider.

    Raises:
        RefundTooLarge: with `refundable_minor`.
    """
    left = payment.amount_minor - payment.refunded_minor
    if amount_minor > left:
        raise RefundTooLarge(field="amount", refundable_minor=left)
    payment.refunded_minor += amount_minor
    refund = Refund(
        organization_id=payment.organization_id,
        payment_id=payment.id,
        order_id=payment.order_id,
        status=RefundStatus.REQUESTED,
        origin=RefundOrigin.PLATFORM,
        amount_minor=amount_minor,
        currency=payment.currency,
        reason=reason,
        requested_by=requested_by,
    )
    session.add(refund)
    await session.flush()  # sets id and created_at
    await session.refresh(refund)
    outbox.publish(session, RefundRequested.of(refund))
    return refund
