"""Personal data in payments: export and erasure.

Erasure keeps amounts, which bookkeeping needs, and removes the provider's data about the payer.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Boolean, Select, Update, func, literal_column, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.personal_data import Part, Rows
from ticketing.modules import orders
from ticketing.modules.payments.models import Payment, PaymentEvent, Refund

CLEAN_ROWS = 1000

#: As in the partial index, not with a parameter.
_HAS_BODY = literal_column("payment_events.body <> '{}'", Boolean)


def _payments(user_id: UUID) -> Rows:
    p = Payment
    columns = (p.organization_id, p.id, p.order_id, p.provider, p.provider_ref, p.status)
    money = (p.amount_minor, p.refunded_minor, p.currency, p.created_at, p.arrived_at)
    return select(*columns, *money).where(p.order_id.in_(_own_orders(user_id))).order_by(p.id)


def _refunds(user_id: UUID) -> Rows:
    columns = (Refund.organization_id, Refund.id, Refund.order_id, Refund.payment_id, Refund.status, Refund.reason)
    money = (Refund.amount_minor, Refund.currency, Refund.created_at)
    return select(*columns, *money).where(Refund.order_id.in_(_own_orders(user_id))).order_by(Refund.id)


def _webhooks(user_id: UUID) -> Rows:
    e = PaymentEvent
    same = (e.provider == Payment.provider) & (e.provider_ref == Payment.provider_ref)
    columns = (Payment.organization_id, Payment.id.label("payment_id"), e.type, e.received_at, e.body)
    query = select(*columns).join(Payment, same).where(Payment.order_id.in_(_own_orders(user_id)))
    return query.order_by(e.received_at, e.event_id)


def _own_orders(user_id: UUID) -> Select[UUID]:
    return select(orders.Order.id).where(orders.Order.user_id == user_id)


PARTS = (
    Part("payments", _payments, Payment.organization_id),
    Part("refunds", _refunds, Refund.organization_id),
    Part("payment_webhooks", _webhooks, Payment.organization_id),
)


async def forget_payer(session: AsyncSession, user_id: UUID) -> None:
    """Empty the bodies of all processed webhooks about this user's payments. Type and amount stay."""
    own = select(orders.Order.organization_id, orders.Order.id).where(orders.Order.user_id == user_id)
    mine = select(Payment.provider, Payment.provider_ref)
    mine = mine.where(tuple_(Payment.organization_id, Payment.order_id).in_(own))
    await session.execute(_empty().where(tuple_(PaymentEvent.provider, PaymentEvent.provider_ref).in_(mine)))


async def empty_old_webhooks(session: AsyncSession, days: int) -> int:
    """Empty the bodies of webhooks processed more than `days` days ago, up to CLEAN_ROWS. Returns their number."""
    is_old = (PaymentEvent.processed_at < func.now() - timedelta(days=days)) & _HAS_BODY
    key = (PaymentEvent.provider, PaymentEvent.event_id)
    old = select(*key).where(is_old).limit(CLEAN_ROWS).with_for_update(skip_locked=True)
    emptied = await session.execute(_empty().where(tuple_(*key).in_(old)))
    return int(emptied.rowcount)  # type: ignore[attr-defined]


def _empty() -> Update:
    # A webhook that has not been processed keeps its body: processing it may still need an operator.
    return update(PaymentEvent).where(PaymentEvent.processed_at.is_not(None), _HAS_BODY).values(body={})
