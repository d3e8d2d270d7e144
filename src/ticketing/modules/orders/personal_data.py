"""Personal data in orders: export and erasure. Erasure keeps the order itself, which bookkeeping needs."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import ColumnElement, Update, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.personal_data import Part, Rows, locked_in_order
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
    """Erase the buyer's name and email address from all orders of these users."""
    await session.execute(_forget(Order.user_id.in_(user_ids)))


async def forget_buyers(session: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Erase the buyer's name and email address from these orders."""
    await session.execute(_forget(Order.id.in_(order_ids)))


def _forget(whose: ColumnElement[bool]) -> Update:
    is_named = (Order.buyer_email != ERASED) | (Order.buyer_name != ERASED)
    return update(Order).where(locked_in_order(Order.id, whose, is_named)).values(buyer_email=ERASED, buyer_name=ERASED)
