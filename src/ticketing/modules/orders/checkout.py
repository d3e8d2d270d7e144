"""An order is made from a hold that still runs: one round trip that locks and reads, and one that writes.

The reservation is locked before the order is there: the other way round than where money moves. But the row that is
added is one that nobody else can wait for.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, statements
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.errors import Conflict, Invalid
from ticketing.modules import iam, reservations
from ticketing.modules.orders.messages import OrderCreated
from ticketing.modules.orders.models import Order, OrderStatus
from ticketing.modules.orders.references import new_reference
from ticketing.modules.orders.schemas import CreateOrder, OrderEventOut, OrderOut
from ticketing.modules.orders.service import SETTLED, Deal, HoldHasEnded, check_open, pay_order

#: One clash among 8.5e11 references is rare, six in a row are a fault of ours.
REFERENCE_TRIES_MAX = 5


class AlreadyOrdered(Conflict):
    """There is an order for this reservation already."""

    code = "already_ordered"


class PromoCodeUnknown(Invalid):
    """This code is not valid for this event."""


class _Surroundings(NamedTuple):
    """What an order has to know beside its hold. `now` is the transaction's time."""

    now: datetime
    is_reference_taken: bool
    order_id: UUID | None
    event_status: str
    max_per_buyer: int | None
    title: str
    starts_at: datetime
    venue_name: str | None


async def create_order(session: AsyncSession, user_id: UUID, wanted: CreateOrder) -> OrderOut:
    """Turn the caller's running hold into an order; one that costs nothing is paid at once.

    Raises:
        NotFound: the reservation is unknown, or somebody else's.
        AlreadyOrdered, HoldHasEnded, PromoCodeUnknown, events.EventNotOnSale.
        reservations.LimitExceeded: the address that the order names has too many places already; the hold stays.
    """
    reference = new_reference()
    async with statements.round_trip(session) as connection:
        locked = await reservations.LockedHold.ask_own(connection, wanted.reservation_id, user_id)
        around = await send(connection, _SURROUNDINGS, reference, wanted.reservation_id)
    hold, items = await locked.read()
    known = _Surroundings(*(await around.fetchall())[0])
    _check(hold, known, wanted)
    if known.max_per_buyer is not None:
        await _check_address(session, hold, iam.normalize_email(wanted.buyer.email), known.max_per_buyer)
    if known.is_reference_taken:
        reference = await _find_free_reference(session)
    order = await _insert(session, hold, items, wanted, reference)
    if order.total_minor == 0:
        async with statements.round_trip(session) as connection:
            deal = await Deal.ask(connection, "%s", order.id)
        if not await pay_order(session, order, deal, _nothing_more):
            raise HoldHasEnded
        order.status, order.paid_at = OrderStatus.PAID, known.now
    order.created_at = known.now
    event = OrderEventOut(id=hold.event_id, title=known.title, starts_at=known.starts_at, venue_name=known.venue_name)
    return OrderOut.of(order, items, event, hold.expires_at)


async def _nothing_more(connection: DriverConnection) -> None:
    """No money came, so nobody else has to be told."""


def _check(hold: reservations.HoldRow, known: _Surroundings, wanted: CreateOrder) -> None:
    if known.order_id is not None:
        raise AlreadyOrdered(order_id=known.order_id)
    if not hold.is_running:
        raise HoldHasEnded
    check_open(known.event_status)
    if wanted.promo_code is not None:
        raise PromoCodeUnknown(field="promo_code")


async def _check_address(session: AsyncSession, hold: reservations.HoldRow, email: str, limit: int) -> None:
    """Raises reservations.LimitExceeded when orders to this mailbox, whoever made them, leave too little for this one.

    The buyer's own account was asked at the hold. Without this, one person could buy under many borrowed accounts.
    """
    identity = await reservations.lock_address(session, hold.event_id, email)
    theirs = select(Order.reservation_id).where(
        Order.organization_id == hold.organization_id,
        Order.event_id == hold.event_id,
        Order.buyer_identity == identity,
        Order.status.in_({OrderStatus.PENDING, *SETTLED}),
    )
    where = (session, hold.organization_id)
    had = await reservations.count_places(*where, list(await session.scalars(theirs)))
    wanted = await reservations.count_places(*where, [hold.id])
    reservations.check_limit(limit, had, wanted, "buyer.email")


async def _find_free_reference(session: AsyncSession) -> str:
    for _ in range(REFERENCE_TRIES_MAX):
        reference = new_reference()
        async with statements.round_trip(session) as connection:
            taken = await send(connection, _IS_TAKEN, reference)
        if await taken.fetchone() == (False,):
            return reference
    raise RuntimeError("no free order reference was found")


async def _insert(
    session: AsyncSession,
    hold: reservations.HoldRow,
    items: Sequence[reservations.HeldItem],
    wanted: CreateOrder,
    reference: str,
) -> Order:
    """The order, as it was written: a model that no session knows."""
    order = Order(
        id=new_id(),
        organization_id=hold.organization_id,
        event_id=hold.event_id,
        reservation_id=hold.id,
        user_id=hold.user_id,
        reference=reference,
        status=OrderStatus.PENDING,
        buyer_email=iam.normalize_email(wanted.buyer.email),
        buyer_name=wanted.buyer.name,
        total_minor=hold.total_minor,
        refunded_minor=0,
        currency=hold.currency,
    )
    async with statements.round_trip(session) as connection:
        await send(connection, _INSERT, *_values(order), rows([item._asdict() for item in items]))
        outbox.publish(session, OrderCreated.of(order))
    return order


def _values(order: Order) -> list[Any]:
    return [getattr(order, name) for name in _COLUMNS]


_SURROUNDINGS = """
select now(), organization_of_order(%s) is not null, o.id, e.status, e.max_per_buyer, e.title, e.starts_at, v.name
  from reservations r
  join events e on e.id = r.event_id
  left join venues v on v.id = e.venue_id
  left join orders o on o.organization_id = r.organization_id and o.reservation_id = r.id
 where r.id = %s"""

_COLUMNS = (
    "id",
    "organization_id",
    "event_id",
    "reservation_id",
    "user_id",
    "reference",
    "status",
    "buyer_email",
    "buyer_name",
    "total_minor",
    "currency",
)
# Asked across all tenants, as the reference is unique among all. Two that choose the same one at the same moment are
# refused by the index, and one of them tries again.
_IS_TAKEN = "select organization_of_order(%s) is not null"
_INSERT = f"""
with made as (
    insert into orders ({", ".join(_COLUMNS)}) values ({", ".join(["%s"] * len(_COLUMNS))})
    returning organization_id, id)
insert into order_lines (organization_id, order_id, position, seat_number, seat_label, ticket_type_id, name, quantity,
                         price_minor)
select made.organization_id, made.id, w.position, w.seat_number, w.seat_label, w.ticket_type_id, w.name, w.quantity,
       w.price_minor
  from made, json_to_recordset(%s::json) as w (position smallint, seat_number integer, seat_label text,
                                               ticket_type_id uuid, name text, quantity integer, price_minor bigint)
"""  # noqa: S608 (only our own names)
