"""Personal data in orders: export and erasure. Erasure keeps the order itself, which bookkeeping needs."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Update, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.personal_data import Part, Rows, locked_in_order
from ticketing.modules import events, iam
from ticketing.modules.orders.models import Order, OrderLine

#: Replaces an erased name or email address. A request cannot carry it as an address: the API rejects an empty one.
ERASED = ""


def _orders(user_id: UUID) -> Rows:
    columns = (Order.organization_id, Order.id, Order.user_id, Order.event_id, Order.reservation_id, Order.reference)
    buyer = (Order.status, Order.buyer_email, Order.buyer_name)
    money = (Order.total_minor, Order.refunded_minor, Order.currency, Order.created_at, Order.paid_at)
    return select(*columns, *buyer, *money).where(Order.user_id == user_id).order_by(Order.id)


def _lines(user_id: UUID) -> Rows:
    line = OrderLine
    columns = (line.organization_id, line.order_id, line.position, line.name, line.seat_label, line.quantity)
    query = select(*columns, line.price_minor).join(Order, Order.id == line.order_id)
    return query.where(Order.user_id == user_id).order_by(line.order_id, line.position)


PARTS = (
    Part("orders", _orders, Order.organization_id),
    Part("order_lines", _lines, OrderLine.organization_id),
)


async def forget_buyer(session: AsyncSession, user_ids: Collection[UUID]) -> None:
    """Erase the buyer's name and address from all orders of these users, and the digest of the address if the event is
    over: until then it counts for the purchase limit, also of an account that the same person makes afterwards."""
    theirs = Order.user_id.in_(user_ids)
    await session.execute(_forget(theirs))
    await session.execute(
        _forget_identity(theirs, Order.event_id.in_(select(events.Event.id).where(events.is_finished())))
    )


async def forget_identities(session: AsyncSession, organization_id: UUID, event_id: UUID) -> None:
    """Erase the digests of the addresses that erased users ordered with, once the event is over."""
    of_event = (Order.organization_id == organization_id) & (Order.event_id == event_id)
    await session.execute(_forget_identity(of_event, Order.user_id.in_(iam.personal_data.erased_users())))


async def forget_buyers(session: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Erase the buyer's name, email address and its digest from these orders."""
    await session.execute(_forget(Order.id.in_(order_ids)))
    await session.execute(_forget_identity(Order.id.in_(order_ids)))


def _forget(whose: ColumnElement[bool]) -> Update:
    is_named = (Order.buyer_email != ERASED) | (Order.buyer_name != ERASED)
    return update(Order).where(locked_in_order(Order.id, whose, is_named)).values(buyer_email=ERASED, buyer_name=ERASED)


def _forget_identity(*whose: ColumnElement[bool]) -> Update:
    known = locked_in_order(Order.id, *whose, Order.buyer_identity.is_not(None))
    return update(Order).where(known).values(buyer_identity=None)
