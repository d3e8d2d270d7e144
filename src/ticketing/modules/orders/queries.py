"""Queries of orders. Every query checks whether the caller may see the order."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database, tenancy
from ticketing.infra.errors import NotFound
from ticketing.infra.http.fields import Name, find_email
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events, iam, organizations, reservations, venues
from ticketing.modules.orders.models import Order, OrderLine, OrderStatus
from ticketing.modules.orders.references import find_reference, symbols_of
from ticketing.modules.orders.schemas import OrderEventOut, OrderOut

EXPORT_PAGE_ROWS = 500


class OrderFilter:
    """Query parameters that filter an organization's orders. `q` searches reference, email address and name."""

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
    """Return the order for its buyer or for staff of its organization. Raises NotFound for any other viewer."""
    order = await get_order(session, order_id)
    if order.user_id == viewer.user_id:
        return order
    may_read = organizations.Permission.READ_ORDERS
    if not await organizations.is_allowed(session, order.organization_id, viewer.user_id, may_read):
        raise NotFound
    return order


async def get_order_by_reference(session: AsyncSession, text: str, email: str) -> Order:
    """Return the order with this reference and buyer's email address.

    Raises NotFound for a wrong address and for an unknown reference alike, so that a caller cannot probe for either.
    """
    reference, address = find_reference(text), find_email(email)
    if (
        reference is None
        or address is None
        or await tenancy.enter_by(session, "organization_of_order", reference) is None
    ):
        raise NotFound
    order = await session.scalar(select(Order).where(Order.reference == reference))
    # The order of an erased buyer has an empty address, which must not match an address that normalizes to empty.
    if order is None or not order.buyer_email or order.buyer_email != iam.normalize_email(address):
        raise NotFound
    return order


async def find_order_of(session: AsyncSession, reservation: reservations.Reservation) -> Order | None:
    """Return the order made from this reservation, or None."""
    is_it = (Order.organization_id == reservation.organization_id) & (Order.reservation_id == reservation.id)
    return await session.scalar(select(Order).where(is_it))


async def list_lines(session: AsyncSession, order: Order) -> list[OrderLine]:
    """Return the order's lines, in the order of the reservation's items."""
    return (await _lines_of(session, [order]))[order.id]


async def list_paid_for(session: AsyncSession, user_id: UUID, email: str, count_max: int) -> list[UUID]:
    """Return a buyer's newest paid orders with this address, for events that are not over; for workers."""
    is_it = (Order.user_id == user_id) & (Order.buyer_email == iam.normalize_email(email))
    is_event = (events.Event.organization_id == Order.organization_id) & (events.Event.id == Order.event_id)
    held = (OrderStatus.PAID, OrderStatus.PARTIALLY_REFUNDED)
    query = select(Order.id).join(events.Event, is_event).where(is_it, Order.status.in_(held))
    query = query.where(events.ends_at() > func.now()).order_by(Order.id.desc()).limit(count_max)
    return list(await session.scalars(query))


async def list_of_user(session: AsyncSession, user_id: UUID, page: PageQuery) -> tuple[list[Order], str | None]:
    """Return one page of a buyer's orders, newest first, and the cursor of the next page."""
    return await _select_page(session, select(Order).where(Order.user_id == user_id), page)


async def list_of_organization(
    session: AsyncSession, organization_id: UUID, filters: OrderFilter, page: PageQuery
) -> tuple[list[Order], str | None]:
    """Return one page of an organization's orders, newest first, and the cursor of the next page."""
    return await _select_page(session, _filtered(organization_id, filters), page)


async def _select_page(session: AsyncSession, query: Select[Order], page: PageQuery) -> tuple[list[Order], str | None]:
    if page.after:
        query = query.where(Order.id < page.after_id())
    rows = (await session.scalars(query.order_by(Order.id.desc()).limit(page.limit + 1))).all()
    return page.cut(rows, lambda order: [str(order.id)])


def _filtered(organization_id: UUID, filters: OrderFilter) -> Select[Order]:
    query = select(Order).where(Order.organization_id == organization_id)
    if filters.event_id is not None:
        query = query.where(Order.event_id == filters.event_id)
    if filters.status is not None:
        query = query.where(Order.status == filters.status)
    if filters.q is not None:
        query = query.where(or_(*_matches(filters.q)))
    return query


def _matches(words: str) -> Iterator[ColumnElement[bool]]:
    buyer = func.search_fold(Order.buyer_name + " " + Order.buyer_email)
    # Each word is folded once, not for every order.
    folded = [select(func.search_fold(word)).scalar_subquery() for word in words.split()]
    yield and_(*(func.strpos(buyer, word) > 0 for word in folded))
    if symbols := symbols_of(words):
        yield func.replace(Order.reference, "-", "").contains(symbols)


async def iterate_pages(
    database: Database, organization_id: UUID, filters: OrderFilter
) -> AsyncIterator[list[OrderOut]]:
    """Yield all matching orders in pages, oldest first.

    Each page is read in a separate transaction, so that a slow client does not hold a connection between pages.
    """
    after: UUID | None = None
    while True:
        query = _filtered(organization_id, filters).order_by(Order.id).limit(EXPORT_PAGE_ROWS)
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
    """Return the orders with their lines, events and hold expiry, in a fixed number of queries."""
    if not orders:
        return []
    await tenancy.show(session, {order.organization_id for order in orders})
    lines = await _lines_of(session, orders)
    events_out = await _events_of(session, orders)
    expiries = await _hold_expiries_of(session, orders)
    return [OrderOut.of(o, lines[o.id], events_out[o.event_id], expiries[o.reservation_id]) for o in orders]


async def _lines_of(session: AsyncSession, orders: Sequence[Order]) -> dict[UUID, list[OrderLine]]:
    keys = [(order.organization_id, order.id) for order in orders]
    query = select(OrderLine).where(tuple_(OrderLine.organization_id, OrderLine.order_id).in_(keys))
    found: dict[UUID, list[OrderLine]] = {order.id: [] for order in orders}
    for line in (await session.scalars(query.order_by(OrderLine.order_id, OrderLine.position))).all():
        found[line.order_id].append(line)
    return found


async def _events_of(session: AsyncSession, orders: Sequence[Order]) -> dict[UUID, OrderEventOut]:
    query = select(events.Event).where(events.Event.id.in_({order.event_id for order in orders}))
    found = (await session.scalars(query)).all()
    venues_by_id = await venues.list_venues_by_ids(session, {e.venue_id for e in found if e.venue_id is not None})
    return {
        event.id: OrderEventOut(
            id=event.id,
            title=event.title,
            starts_at=event.starts_at,
            timezone=event.timezone,
            venue_name=venues_by_id[event.venue_id].name if event.venue_id in venues_by_id else None,
        )
        for event in found
    }


async def _hold_expiries_of(session: AsyncSession, orders: Sequence[Order]) -> dict[UUID, datetime]:
    hold = reservations.Reservation
    query = select(hold.id, hold.expires_at).where(hold.id.in_([order.reservation_id for order in orders]))
    return {row[0]: row[1] for row in await session.execute(query)}
