"""Refunds: requested in a transaction, sent by `refund_sender`, and completed by the provider's webhook.

A refund moves money only; voiding tickets is a separate operation.
"""

from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.errors import Conflict
from ticketing.modules import orders
from ticketing.modules.payments.messages import RefundRequested, RefundSucceeded
from ticketing.modules.payments.models import Payment, PaymentStatus, Refund, RefundStatus
from ticketing.modules.payments.queries import lock_payment

_INCOMPLETE = (RefundStatus.REQUESTED, RefundStatus.SENT)


class NothingToRefund(Conflict):
    """This order has no payment, or all of it has been refunded already."""

    code = "nothing_to_refund"


class RefundTooLarge(Conflict):
    """This is more than the part of the payment that has not been refunded yet."""

    code = "refund_too_large"


async def refund_order(
    session: AsyncSession, order: orders.Order, amount_minor: int | None, reason: str, requested_by: UUID | None
) -> Refund:
    """Request a refund of `amount_minor` minor units, or of the whole remainder when None. Voids no ticket.

    Raises:
        NothingToRefund, RefundTooLarge (with `refundable_minor`).
    """
    await orders.lock_order(session, order.id)
    paid = select(Payment).where(Payment.organization_id == order.organization_id, Payment.order_id == order.id)
    paid = paid.where(Payment.status == PaymentStatus.SUCCEEDED).with_for_update()
    payment = await session.scalar(paid.execution_options(populate_existing=True))
    if payment is None or payment.refunded_minor == payment.amount_minor:
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


async def find_refund(session: AsyncSession, provider: str, provider_ref: str) -> Refund | None:
    """Find a refund by the provider's reference."""
    same = (Payment.organization_id == Refund.organization_id) & (Payment.id == Refund.payment_id)
    query = select(Refund).join(Payment, same)
    return await session.scalar(query.where(Payment.provider == provider, Refund.provider_ref == provider_ref))


async def lock_with_order(session: AsyncSession, payment_id: UUID) -> Payment:
    """Lock the order, then the payment, and return the payment. For the lock order see `orders.service`."""
    payment = await session.get_one(Payment, payment_id)
    await orders.lock_order(session, payment.order_id)
    return await lock_payment(session, payment_id)


async def lock_refund(
    session: AsyncSession, payment: Payment, amount_minor: int, named: Refund | None
) -> Refund | None:
    """Lock and return the named refund, or else the oldest incomplete refund of this amount."""
    query = select(Refund).where(Refund.payment_id == payment.id)
    if named is not None:
        query = query.where(Refund.id == named.id)
    else:
        query = query.where(Refund.amount_minor == amount_minor, Refund.status.in_(_INCOMPLETE))
    query = query.order_by(Refund.id).limit(1).with_for_update()
    return await session.scalar(query.execution_options(populate_existing=True))


async def complete_refund(session: AsyncSession, payment: Payment, refund: Refund) -> bool:
    """Mark a refund as succeeded. Returns False when it was completed before."""
    if refund.status not in _INCOMPLETE:
        return False
    refund.status = RefundStatus.SUCCEEDED
    outbox.publish(session, RefundSucceeded.of(refund))
    # A payment that arrived twice or too late never paid the order, so its refund does not change the order.
    if payment.status == PaymentStatus.SUCCEEDED:
        await orders.record_refund(session, payment.order_id, refund.amount_minor)
        if await _sum_succeeded(session, payment) == payment.amount_minor:
            payment.status = PaymentStatus.REFUNDED
    return True


async def _sum_succeeded(session: AsyncSession, payment: Payment) -> int:
    succeeded = (Refund.payment_id == payment.id) & (Refund.status == RefundStatus.SUCCEEDED)
    return int(await session.scalar(select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(succeeded)) or 0)
