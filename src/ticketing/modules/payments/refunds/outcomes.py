"""What becomes of a refund: accepted, completed, failed, disputed. The caller has locked order, payment and refund.

Each function returns False when the refund has gone further already, so that repeated events and events out of order
have no effect.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.modules import orders, organizations
from ticketing.modules.payments.messages import (
    DisputeLost,
    DisputeWon,
    RefundFailed,
    RefundSent,
    RefundSucceeded,
)
from ticketing.modules.payments.models import (
    FAILURE_REASON_MAX,
    INCOMPLETE,
    PAID_OUT,
    Payment,
    PaymentStatus,
    Refund,
    RefundKind,
    RefundStatus,
)
from ticketing.modules.payments.queries import lock_payment


async def lock_with_order(session: AsyncSession, payment_id: UUID) -> Payment:
    """Lock the order, then the payment, and return the payment. For the lock order see `orders.service`."""
    payment = await session.get_one(Payment, payment_id)
    await orders.lock_order(session, payment.order_id)
    return await lock_payment(session, payment_id)


async def lock_refunds(session: AsyncSession, payment: Payment) -> Sequence[Refund]:
    """Return all refunds of a locked payment, oldest first, freshly read and locked until the transaction ends."""
    query = select(Refund).where(Refund.payment_id == payment.id).order_by(Refund.id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


def accept_refund(session: AsyncSession, refund: Refund) -> bool:
    """The provider has accepted the platform's refund."""
    if refund.status != RefundStatus.REQUESTED:
        return False
    refund.status = RefundStatus.SENT
    outbox.publish(session, RefundSent.of(refund))
    return True


async def complete_refund(session: AsyncSession, payment: Payment, refund: Refund) -> bool:
    """The provider has paid the refund."""
    if refund.status not in INCOMPLETE:
        return False
    refund.status = RefundStatus.SUCCEEDED
    outbox.publish(session, RefundSucceeded.of(refund))
    await count_paid_out(session, payment, refund)
    return True


async def count_paid_out(session: AsyncSession, payment: Payment, refund: Refund) -> None:
    """Add a refund or chargeback whose money has left to its order."""
    # A payment that arrived twice or too late never paid the order, so its refund does not change the order.
    if payment.is_returned:
        return
    await orders.record_refund(session, payment.order_id, refund.amount_minor)
    if await _sum_paid_out(session, payment) == payment.amount_minor:
        payment.status = PaymentStatus.REFUNDED


async def _sum_paid_out(session: AsyncSession, payment: Payment) -> int:
    counted = (Refund.payment_id == payment.id) & Refund.status.in_(PAID_OUT)
    return int(await session.scalar(select(func.coalesce(func.sum(Refund.amount_minor), 0)).where(counted)) or 0)


async def fail_refund(session: AsyncSession, payment: Payment, refund: Refund, reason: str) -> bool:
    """The money of a refund stays, or has come back, as that of a won dispute has. Its amount may be refunded again."""
    if refund.status == RefundStatus.FAILED:
        return False
    was_paid_out = refund.status in PAID_OUT
    refund.status, refund.failure_reason, refund.due_at = RefundStatus.FAILED, bounded(reason), None
    payment.refunded_minor -= refund.amount_minor
    report_failed(session, payment, refund)
    if was_paid_out and not payment.is_returned:
        payment.status = PaymentStatus.SUCCEEDED
        await orders.reverse_refund(session, payment.order_id, refund.amount_minor)
    return True


def report_failed(session: AsyncSession, payment: Payment, refund: Refund) -> None:
    """Publish and audit that a refund has failed, or that a dispute was won."""
    message = DisputeWon if refund.kind == RefundKind.CHARGEBACK else RefundFailed
    outbox.publish(session, message.of(refund))
    audit(session, payment, refund, message.topic)


def lose_dispute(session: AsyncSession, payment: Payment, refund: Refund) -> bool:
    """The dispute was lost. The order has counted its money since the dispute began."""
    if refund.status != RefundStatus.DISPUTED:
        return False
    refund.status = RefundStatus.SUCCEEDED
    outbox.publish(session, DisputeLost.of(refund))
    audit(session, payment, refund, DisputeLost.topic)
    return True


def audit(session: AsyncSession, payment: Payment, refund: Refund, action: str) -> None:
    """Append what a provider has done to the organization's audit log."""
    money = {"amount_minor": refund.amount_minor, "currency": refund.currency}
    after = {"refund_id": str(refund.id), "status": refund.status, **money}
    actor, subject = f"provider:{payment.provider}", f"order:{payment.order_id}"
    organizations.record_by(session, payment.organization_id, actor, action, subject, None, after)


def bounded(reason: str) -> str:
    """Return a provider's text as it is stored: at most FAILURE_REASON_MAX characters, without NUL."""
    return reason.replace("\0", "").strip()[:FAILURE_REASON_MAX]
