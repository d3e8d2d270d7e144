"""What orders hold of a person, and how a buyer is taken out of them. The order stays: it belongs to the books."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import Update, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.personal_data import Part, Rows
from ticketing.modules.orders.models import Order, OrderLine

#: What stands where a name or an address stood. No address that anybody can send is like it.
NOBODY = ""


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


async def forget_buyer(session: AsyncSession, user_id: UUID) -> None:
    """Take this person's name and address out of everything that they have ordered."""
    await session.execute(_forget().where(Order.user_id == user_id))


async def forget_buyers(session: AsyncSession, order_ids: Collection[UUID]) -> None:
    """The same for orders of many people."""
    await session.execute(_forget().where(Order.id.in_(order_ids)))


def _forget() -> Update:
    is_known = (Order.buyer_email != NOBODY) | (Order.buyer_name != NOBODY)
    return update(Order).where(is_known).values(buyer_email=NOBODY, buyer_name=NOBODY)
