"""Reading orders: whose they are is asked here, in every query."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy import Select, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database, tenancy
from ticketing.infra.errors import NotFound
from ticketing.infra.http.fields import Name
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events, iam, organizations, reservations, venues
from ticketing.modules.orders.models import Order, OrderLine, OrderStatus
from ticketing.modules.orders.references import find_reference
from ticketing.modules.orders.schemas import OrderEventOut, OrderOut

EXPORT_PAGE_ROWS = 500


class OrderFilter:
    """Which of an organization's orders; `q` looks in reference, e-mail and name."""

    def __init__(self, event_id: UUID | None = None, status: OrderStatus | None = None, q: Name | None = None) -> None:
        self.event_id, self.status, self.q = event_id, status, q


OrderFilterQuery = Annotated[OrderFilter, Depends()]


async def get_order(session: AsyncSession, order_id: UUID) -> Order:
    """Raises NotFound."""
    order = await session.get(Order, order_id)
    if order is None:
        raise NotFound
    return order


async def get_visible_order(session: AsyncSession, order_id: UUID, viewer: iam.Identity) -> Order:
    """The order of a buyer, or of an organization whose staff the viewer is. Raises NotFound for everybody else."""
    order = await get_order(session, order_id)
    if order.user_id == viewer.user_id:
        return order
    may_read = organizations.Permission.READ_ORDERS
    if not await organizations.is_allowed(session, order.organization_id, viewer.user_id, may_read):
        raise NotFound
    return order


async def get_order_by_reference(session: AsyncSession, text: str, email: str) -> Order:
    """Raises NotFound, the same for a wrong e-mail as for an unknown reference: neither is confirmed to a guesser."""
    reference = find_reference(text)
    if reference is None or await tenancy.enter_by(session, "organization_of_order", reference) is None:
        raise NotFound
    order = await session.scalar(select(Order).where(Order.reference == reference))
    # An erased buyer's order has no address, and nothing that is sent may count as one: neither do blanks.
    if order is None or not order.buyer_email or order.buyer_email != iam.normalize_email(email):
        raise NotFound
    return order


async def find_order_of(session: AsyncSession, reservation: reservations.Reservation) -> Order | None:
    """The order that was made from this reservation."""
    mine = (Order.organization_id == reservation.organization_id) & (Order.reservation_id == reservation.id)
    return await session.scalar(select(Order).where(mine))


async def list_lines(session: AsyncSession, order: Order) -> list[OrderLine]:
    """What was bought, in the order of the reservation."""
    return (await _lines_of(session, [order]))[order.id]


async def list_of_user(session: AsyncSession, user_id: UUID, page: PageQuery) -> tuple[list[Order], str | None]:
    """A buyer's orders, newest first."""
    return await _cut(session, select(Order).where(Order.user_id == user_id), page)


async def list_of_organization(
    session: AsyncSession, organization_id: UUID, wanted: OrderFilter, page: PageQuery
) -> tuple[list[Order], str | None]:
    """An organization's orders, newest first."""
    return await _cut(session, _filtered(organization_id, wanted), page)


async def _cut(session: AsyncSession, query: Select[Order], page: PageQuery) -> tuple[list[Order], str | None]:
    if page.after:
        query = query.where(Order.id < page.after_id())
    rows = (await session.scalars(query.order_by(Order.id.desc()).limit(page.limit + 1))).all()
    return page.cut(rows, lambda order: [str(order.id)])


def _filtered(organization_id: UUID, wanted: OrderFilter) -> Select[Order]:
    query = select(Order).where(Order.organization_id == organization_id)
    if wanted.event_id is not None:
        query = query.where(Order.event_id == wanted.event_id)
    if wanted.status is not None:
        query = query.where(Order.status == wanted.status)
    if wanted.q is not None:
        columns = (Order.buyer_email, Order.buyer_name, Order.reference)
        query = query.where(or_(*(column.icontains(wanted.q, autoescape=True) for column in columns)))
    return query


async def walk_organization(
    database: Database, organization_id: UUID, wanted: OrderFilter
) -> AsyncIterator[list[OrderOut]]:
    """All of them in pages, oldest first, each page in a transaction of its own: a slow reader holds no connection."""
    after: UUID | None = None
    while True:
        query = _filtered(organization_id, wanted).order_by(Order.id).limit(EXPORT_PAGE_ROWS)
        async with database.transaction() as session:
            await tenancy.enter(session, organization_id)
            rows = (await session.scalars(query if after is None else query.where(Order.id > after))).all()
            page = await describe(session, rows)
        if page:
            yield page
        if len(page) < EXPORT_PAGE_ROWS:
            return
        after = page[-1].id


async def describe(session: AsyncSession, orders: Sequence[Order]) -> list[OrderOut]:
    """The orders with their lines, events and times, in a fixed number of queries."""
    if not orders:
        return []
    await tenancy.show(session, {order.organization_id for order in orders})
    lines = await _lines_of(session, orders)
    shows = await _events_of(session, orders)
    ends = await _ends_of(session, orders)
    return [OrderOut.of(o, lines[o.id], shows[o.event_id], ends[o.reservation_id]) for o in orders]


async def _lines_of(session: AsyncSession, orders: Sequence[Order]) -> dict[UUID, list[OrderLine]]:
    keys = [(order.organization_id, order.id) for order in orders]
    query = select(OrderLine).where(tuple_(OrderLine.organization_id, OrderLine.order_id).in_(keys))
    found: dict[UUID, list[OrderLine]] = {order.id: [] for order in orders}
    for line in (await session.scalars(query.order_by(OrderLine.order_id, OrderLine.position))).all():
        found[line.order_id].append(line)
    return found


async def _events_of(session: AsyncSession, orders: Sequence[Order]) -> dict[UUID, OrderEventOut]:
    query = select(events.Event).where(events.Event.id.in_({order.event_id for order in orders}))
    shows = (await session.scalars(query)).all()
    places = await venues.list_venues_by_ids(session, {show.venue_id for show in shows if show.venue_id is not None})
    return {
        show.id: OrderEventOut(
            id=show.id,
            title=show.title,
            starts_at=show.starts_at,
            venue_name=places[show.venue_id].name if show.venue_id in places else None,
        )
        for show in shows
    }


async def _ends_of(session: AsyncSession, orders: Sequence[Order]) -> dict[UUID, datetime]:
    kept = reservations.Reservation
    query = select(kept.id, kept.expires_at).where(kept.id.in_([order.reservation_id for order in orders]))
    return {row[0]: row[1] for row in await session.execute(query)}
