"""Retention: buyers' data is erased a number of days after the event, which each organization sets."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.modules import events, orders, organizations, payments, reservations, tickets
from ticketing.modules.privacy.messages import BuyersForgotten

#: Orders per transaction.
BATCH_ROWS = 500
ACTOR = "system:retention"

Due = Row[UUID, UUID, UUID]


async def forget_old_buyers(session: AsyncSession) -> int:
    """Erase the buyers of a batch of due orders, with an audit entry per organization. Return the number of orders."""
    due = (await session.execute(_due())).all()
    order_ids = [row.id for row in due]
    if due:
        await orders.personal_data.forget_buyers(session, order_ids)
        await tickets.personal_data.forget_holders(session, order_ids)
        await reservations.personal_data.forget_buyers(session, [row.reservation_id for row in due])
        _record(session, due)
    return len(due)


def _due() -> Select[UUID, UUID, UUID]:
    order, event, tenant = orders.Order, events.Event, organizations.Organization
    end = func.coalesce(event.ends_at, event.starts_at)
    is_old = end < func.now() - func.make_interval(0, 0, 0, tenant.buyer_data_days)
    query = select(order.organization_id, order.id, order.reservation_id)
    query = query.join(tenant, tenant.id == order.organization_id).join(event, event.id == order.event_id)
    query = query.where(tenant.buyer_data_days.is_not(None), is_old, order.buyer_email > orders.personal_data.ERASED)
    query = query.where(order.status != orders.OrderStatus.PENDING, ~_has_open_money())
    # Rows locked by another transaction are left to the next run.
    return query.order_by(order.id).limit(BATCH_ROWS).with_for_update(of=order, skip_locked=True)


def _has_open_money() -> ColumnElement[bool]:
    payment, refund = payments.Payment, payments.Refund
    is_paying = (payment.order_id == orders.Order.id) & (payment.status == payments.PaymentStatus.PENDING)
    is_paying &= payment.provider_ref.is_not(None)  # else its buyer never saw a checkout
    status = payments.RefundStatus
    under_way = [status.REQUESTED, status.SENT, status.DISPUTED]
    is_returning = (refund.order_id == orders.Order.id) & refund.status.in_(under_way)
    own = payment.organization_id == orders.Order.organization_id
    own_refund = refund.organization_id == orders.Order.organization_id
    return exists().where(own, is_paying) | exists().where(own_refund, is_returning)


def _record(session: AsyncSession, due: Sequence[Due]) -> None:
    for organization_id, count in Counter(row.organization_id for row in due).items():
        # With an admin's role, because an admin has set the retention.
        access = organizations.Access(organization_id, ACTOR, None, organizations.Role.ORG_ADMIN)
        subject = f"organization:{organization_id}"
        organizations.record(session, access, "buyers.forgotten", subject, None, {"orders": count})
        outbox.publish(session, BuyersForgotten(organization_id=organization_id, orders=count))
