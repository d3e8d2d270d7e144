"""Personal data in payments: export and erasure.

Erasure keeps amounts, which bookkeeping needs, and removes the provider's data about the payer.
"""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Boolean, Select, Update, case, func, literal_column, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.personal_data import Part, Rows
from ticketing.modules import orders
from ticketing.modules.payments.models import Payment, PaymentEvent, Refund, RefundOrigin

CLEAN_ROWS = 1000

#: As in the partial index, not with a parameter.
_HAS_BODY = literal_column("payment_events.body <> '{}'", Boolean)


def _payments(user_id: UUID) -> Rows:
    p = Payment
    columns = (p.organization_id, p.id, p.order_id, p.provider, p.provider_ref, p.status)
    money = (p.amount_minor, p.refunded_minor, p.currency, p.created_at, p.arrived_at)
    return select(*columns, *money).where(p.order_id.in_(_own_orders(user_id))).order_by(p.id)


def _refunds(user_id: UUID) -> Rows:
    r = Refund
    columns = (r.organization_id, r.id, r.order_id, r.payment_id, r.status, r.origin, r.kind, r.provider_ref)
    texts = (r.reason, r.failure_reason)
    money = (r.amount_minor, r.currency, r.created_at)
    return select(*columns, *texts, *money).where(Refund.order_id.in_(_own_orders(user_id))).order_by(Refund.id)


def _webhooks(user_id: UUID) -> Rows:
    e = PaymentEvent
    same = (e.provider == Payment.provider) & (e.provider_ref == Payment.provider_ref)
    columns = (Payment.organization_id, Payment.id.label("payment_id"), e.type, e.received_at, e.reason, e.body)
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
    """Erase what providers have said about this user's payments: bodies of processed webhooks, and reasons.

    Types, amounts and statuses stay.
    """
    own = select(orders.Order.organization_id, orders.Order.id).where(orders.Order.user_id == user_id)
    mine = select(Payment.provider, Payment.provider_ref)
    mine = mine.where(tuple_(Payment.organization_id, Payment.order_id).in_(own))
    await session.execute(_empty().where(tuple_(PaymentEvent.provider, PaymentEvent.provider_ref).in_(mine)))
    begun_there = Refund.origin == RefundOrigin.PROVIDER
    has_words = or_(begun_there & (Refund.reason != ""), Refund.failure_reason != "")
    theirs = select(Refund.id).where(tuple_(Refund.organization_id, Refund.order_id).in_(own), has_words)
    no_words = {
        "reason": case((begun_there, ""), else_=Refund.reason),
        "failure_reason": case((Refund.failure_reason.is_not(None), "")),
    }
    # Refunds are locked by id, as webhooks lock them.
    locked = theirs.order_by(Refund.id).with_for_update()
    await session.execute(update(Refund).where(Refund.id.in_(locked)).values(no_words))


async def empty_old_webhooks(session: AsyncSession, days: int) -> int:
    """Empty the bodies of webhooks processed more than `days` days ago, up to CLEAN_ROWS. Returns their number."""
    is_old = (PaymentEvent.processed_at < func.now() - timedelta(days=days)) & _HAS_BODY
    key = (PaymentEvent.provider, PaymentEvent.event_id)
    old = select(*key).where(is_old).limit(CLEAN_ROWS).with_for_update(skip_locked=True)
    emptied = await session.execute(_empty().where(tuple_(*key).in_(old)))
    return int(emptied.rowcount)  # type: ignore[attr-defined]


def _empty() -> Update:
    # A webhook that has not been processed keeps its body: processing it may still need an operator.
    return update(PaymentEvent).where(PaymentEvent.processed_at.is_not(None), _HAS_BODY).values(body={}, reason="")
