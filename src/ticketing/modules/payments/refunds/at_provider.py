"""What a provider reports about refunds and disputes: the platform's own, and those that began at the provider.

Each refund and each dispute is one row, found by the provider's reference or by the platform's id, so that an event
counts once, however often and in whatever order the events arrive, and an echo of the platform's own refund is no
second refund. A webhook waits (None) when it can be applied later only:
- its payment has not arrived yet;
- it may be the echo of a refund that is being sent at this moment, whose reference is not recorded yet;
- it fits beside the others only if a refund under way fails, as it does when the dashboard was faster.
What never fits is a mismatch: the database counts no more than was paid, and an operator is alerted.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id
from ticketing.modules.payments.messages import DisputeCreated, RefundRecorded
from ticketing.modules.payments.models import (
    INCOMPLETE,
    Outcome,
    Payment,
    PaymentEvent,
    Refund,
    RefundKind,
    RefundOrigin,
    RefundStatus,
)
from ticketing.modules.payments.queries import find_payment
from ticketing.modules.payments.refunds import outcomes

WON = "The dispute was won."

#: The status in which a row begins that no earlier event has made.
_FIRST_STATUS = {
    "refund.created": RefundStatus.SENT,
    "refund.succeeded": RefundStatus.SENT,
    "refund.failed": RefundStatus.FAILED,
    "dispute.created": RefundStatus.DISPUTED,
    "dispute.won": RefundStatus.FAILED,
    "dispute.lost": RefundStatus.DISPUTED,
}


async def apply_event(session: AsyncSession, event: PaymentEvent) -> Outcome | None:
    """Apply a webhook about a refund or dispute. Returns None when it has to wait."""
    payment_id = await _find_payment_id(session, event)
    if payment_id is None:
        return None
    payment = await outcomes.lock_with_order(session, payment_id)
    if payment.arrived_at is None:
        return None
    refunds = await outcomes.lock_refunds(session, payment)
    refund = _find_refund(refunds, event)
    if event.currency != payment.currency or not 1 <= event.amount_minor <= payment.amount_minor:
        return "mismatch"
    if refund is None:
        return await _record(session, payment, refunds, event)
    if refund.amount_minor != event.amount_minor:
        return "mismatch"
    if refund.provider_ref is None:
        refund.provider_ref = event.object_ref
    return "applied" if await _advance(session, payment, refund, event) else "seen"


async def _find_payment_id(session: AsyncSession, event: PaymentEvent) -> UUID | None:
    """The webhook names the payment, or, if it has no `object_ref`, its refund."""
    payment = await find_payment(session, event.provider, event.provider_ref)
    if payment is not None:
        return payment.id
    same = (Payment.organization_id == Refund.organization_id) & (Payment.id == Refund.payment_id)
    query = select(Refund.payment_id).join(Payment, same)
    return await session.scalar(
        query.where(Payment.provider == event.provider, Refund.provider_ref == event.provider_ref).limit(1)
    )


def _find_refund(refunds: Sequence[Refund], event: PaymentEvent) -> Refund | None:
    """Return the row of the refund or dispute, among the locked ones of its payment."""
    kind = _kind_of(event)
    of_kind = [refund for refund in refunds if refund.kind == kind]
    reference = event.object_ref or event.provider_ref
    named = [refund for refund in of_kind if refund.provider_ref == reference]
    # A refund with another reference is not the one that a provider means by both.
    named += [
        refund for refund in of_kind if refund.id == event.refund_id and None in (refund.provider_ref, event.object_ref)
    ]
    if event.object_ref is None and event.refund_id is None:
        # A webhook that names the payment alone is about the oldest refund of its amount.
        named += [each for each in of_kind if each.amount_minor == event.amount_minor and each.status in INCOMPLETE]
    return next(iter(named), None)


def _kind_of(event: PaymentEvent) -> RefundKind:
    return RefundKind.CHARGEBACK if event.type.startswith("dispute.") else RefundKind.REFUND


async def _advance(session: AsyncSession, payment: Payment, refund: Refund, event: PaymentEvent) -> bool:
    match event.type:
        case "refund.created":
            return outcomes.accept_refund(session, refund)
        case "refund.succeeded":
            return await outcomes.complete_refund(session, payment, refund)
        case "refund.failed":
            return await outcomes.fail_refund(session, payment, refund, event.reason)
        case "dispute.won":
            return await outcomes.fail_refund(session, payment, refund, WON)
        case "dispute.lost":
            return outcomes.lose_dispute(session, payment, refund)
    return False


async def _record(
    session: AsyncSession, payment: Payment, refunds: Sequence[Refund], event: PaymentEvent
) -> Outcome | None:
    """Insert the row of a refund or dispute that began at the provider."""
    if event.object_ref is None:
        return "mismatch"
    status = _FIRST_STATUS[event.type]
    if status == RefundStatus.FAILED:
        refund = await _insert(session, payment, event, status)
        outcomes.report_failed(session, payment, refund)
        return "applied"
    if _may_be_echo(refunds, event):
        return None
    left = payment.amount_minor - payment.refunded_minor
    if event.amount_minor > left:
        under_way = sum(each.amount_minor for each in refunds if each.status in INCOMPLETE)
        return None if event.amount_minor <= left + under_way else "mismatch"
    payment.refunded_minor += event.amount_minor
    refund = await _insert(session, payment, event, status)
    message = DisputeCreated if refund.kind == RefundKind.CHARGEBACK else RefundRecorded
    outbox.publish(session, message.of(refund))
    outcomes.audit(session, payment, refund, message.topic)
    if status == RefundStatus.DISPUTED:
        await outcomes.count_paid_out(session, payment, refund)
    await _advance(session, payment, refund, event)
    return "applied"


def _may_be_echo(refunds: Sequence[Refund], event: PaymentEvent) -> bool:
    """Whether a refund of this amount has been sent at least once, and its reference is not recorded."""
    is_named = event.refund_id is not None or _kind_of(event) == RefundKind.CHARGEBACK
    return not is_named and any(
        each.status == RefundStatus.REQUESTED
        and each.tries > 0
        and each.provider_ref is None
        and each.amount_minor == event.amount_minor
        for each in refunds
    )


async def _insert(session: AsyncSession, payment: Payment, event: PaymentEvent, status: RefundStatus) -> Refund:
    is_failed = status == RefundStatus.FAILED
    why_failed = WON if event.type == "dispute.won" else outcomes.bounded(event.reason)
    refund = Refund(
        id=new_id(),
        organization_id=payment.organization_id,
        payment_id=payment.id,
        order_id=payment.order_id,
        status=status,
        origin=RefundOrigin.PROVIDER,
        kind=_kind_of(event),
        amount_minor=event.amount_minor,
        currency=payment.currency,
        reason="" if is_failed else outcomes.bounded(event.reason),
        failure_reason=why_failed if is_failed else None,
        provider_ref=event.object_ref,
    )
    session.add(refund)
    await session.flush()
    return refund
