"""Create an order from an active hold: one round trip that locks and reads, and one that writes.

The reservation is locked before the order exists, which reverses the lock order of payments (see `service`). This
cannot deadlock: the order row is new, so no other transaction can be waiting for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import outbox
from ticketing.infra.db import new_id, statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.errors import Conflict, Invalid
from ticketing.modules import iam, reservations
from ticketing.modules.orders.messages import OrderCreated
from ticketing.modules.orders.models import Order, OrderStatus
from ticketing.modules.orders.references import new_reference
from ticketing.modules.orders.sale_checks import count_ordered
from ticketing.modules.orders.schemas import CreateOrder, OrderEventOut, OrderOut
from ticketing.modules.orders.service import HoldHasEnded, check_open, lock_sale, pay_order

#: One collision among 8.5e11 references is rare; six in a row indicate a bug.
REFERENCE_TRIES_MAX = 5


class AlreadyOrdered(Conflict):
    """This reservation has been ordered already."""

    code = "already_ordered"


class PromoCodeUnknown(Invalid):
    """This code is not valid for this event."""


# Lateral queries are looked up one after the other by their keys, whatever the planner knows about the tables.
_SELECT_CONTEXTS = """
select w.id, now(), organization_of_order(w.reference) is not null, o.id, e.status, e.max_per_buyer, e.title,
       e.starts_at, e.timezone, v.name
  from json_to_recordset(%s::json) as w (id uuid, reference text)
 cross join lateral (select organization_id, event_id from reservations where id = w.id offset 0) as r
 cross join lateral (select status, max_per_buyer, title, starts_at, timezone, venue_id,
                           organization_id
                       from events where id = r.event_id offset 0) as e
  left join lateral (select name from venues where id = e.venue_id offset 0) as v on true
  left join lateral (select id from orders
                      where organization_id = r.organization_id and reservation_id = w.id offset 0) as o on true"""


class OrderContext(NamedTuple):
    """What checkout needs to know beside the hold. `now` is the transaction's time."""

    now: datetime
    is_reference_taken: bool
    order_id: UUID | None
    event_status: str
    max_per_buyer: int | None
    title: str
    starts_at: datetime
    timezone: str
    venue_name: str | None


async def query_contexts(
    connection: DriverConnection, references: Mapping[UUID, str]
) -> PendingQuery[dict[UUID, OrderContext]]:
    """Read the contexts of reservations that are locked; `references` has the one that each order would get."""
    wanted = rows([{"id": one, "reference": reference} for one, reference in references.items()])
    return PendingQuery(_contexts, await send(connection, _SELECT_CONTEXTS, wanted))


def _contexts(found: Iterable[tuple[Any, ...]]) -> dict[UUID, OrderContext]:
    return {row[0]: OrderContext(*row[1:]) for row in found}


async def create_order(session: AsyncSession, user_id: UUID, wanted: CreateOrder) -> OrderOut:
    """Turn the caller's active hold into an order. An order with a total of 0 is paid in the same transaction.

    Raises:
        NotFound: the reservation is unknown or belongs to another user.
        AlreadyOrdered, HoldHasEnded, PromoCodeUnknown, events.EventNotOnSale.
        reservations.LimitExceeded: the buyer's email address has reached the event's purchase limit; the hold stays.
    """
    reference = new_reference()
    async with statements.round_trip(session) as connection:
        locked = await reservations.lock_own_hold(connection, wanted.reservation_id, user_id)
        selected = await query_contexts(connection, {wanted.reservation_id: reference})
    hold, items = await locked.fetch()
    context = (await selected.fetch())[hold.id]
    _check(hold, context, wanted)
    if context.max_per_buyer is not None:
        await _check_email_limit(session, hold, iam.normalize_email(wanted.buyer.email), context.max_per_buyer)
    if context.is_reference_taken:
        reference = await _find_free_reference(session)
    order = new_order(hold, wanted, reference)
    async with statements.round_trip(session) as connection:
        await insert_orders(connection, [(order, items)])
        outbox.publish(session, OrderCreated.of(order))
    if order.total_minor == 0:
        async with statements.round_trip(session) as connection:
            sale = await lock_sale(connection, "%s", order.id)
        if await pay_order(session, order, sale, _no_payment) is not None:
            raise HoldHasEnded
        order.status, order.paid_at = OrderStatus.PAID, context.now
    return describe_new(order, hold, items, context)


async def _no_payment(connection: DriverConnection) -> None:
    """A free order has no payment to update."""


def _check(hold: reservations.HoldRow, context: OrderContext, wanted: CreateOrder) -> None:
    if context.order_id is not None:
        raise AlreadyOrdered(order_id=context.order_id)
    if not hold.is_running:
        raise HoldHasEnded
    check_open(context.event_status)
    if wanted.promo_code is not None:
        raise PromoCodeUnknown(field="promo_code")


async def _check_email_limit(session: AsyncSession, hold: reservations.HoldRow, email: str, limit: int) -> None:
    """Apply the event's purchase limit to the buyer's mailbox, across all accounts that ordered for it.

    The limit of the buyer's own account is checked at the hold. Without this check, one person could buy through many
    accounts.

    Raises:
        reservations.LimitExceeded: existing orders for this mailbox leave too few places for this hold.
    """
    identity = await reservations.lock_address(session, hold.event_id, email)
    ordered_places = await count_ordered(session, hold.organization_id, hold.event_id, identity)
    held_places = await reservations.count_places(session, hold.organization_id, [hold.id])
    reservations.check_limit(limit, ordered_places, held_places, "buyer.email")


# Checked across all tenants, because a reference is globally unique. When two transactions pick the same reference at
# the same moment, the unique index rejects one of them.
_IS_REFERENCE_TAKEN = "select organization_of_order(%s) is not null"


async def _find_free_reference(session: AsyncSession) -> str:
    for _ in range(REFERENCE_TRIES_MAX):
        reference = new_reference()
        async with statements.round_trip(session) as connection:
            taken = await send(connection, _IS_REFERENCE_TAKEN, reference)
        if await taken.fetchone() == (False,):
            return reference
    raise RuntimeError("no free order reference was found")


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
_INSERT = f"""
insert into orders ({", ".join(_COLUMNS)})
select {", ".join(_COLUMNS)}
  from json_to_recordset(%s::json) as w (id uuid, organization_id uuid, event_id uuid, reservation_id uuid,
                                         user_id uuid, reference text, status text, buyer_email text,
                                         buyer_name text, total_minor bigint, currency text)"""  # noqa: S608
_INSERT_LINES = """
insert into order_lines (organization_id, order_id, position, seat_number, seat_label, ticket_type_id, name, quantity,
                         price_minor)
select organization_id, order_id, position, seat_number, seat_label, ticket_type_id, name, quantity, price_minor
  from json_to_recordset(%s::json) as w (organization_id uuid, order_id uuid, position smallint, seat_number integer,
                                         seat_label text, ticket_type_id uuid, name text, quantity integer,
                                         price_minor bigint)"""


def new_order(hold: reservations.HoldRow, wanted: CreateOrder, reference: str) -> Order:
    """The pending order of a hold. The model is detached: it is not in any session."""
    return Order(
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


async def insert_orders(
    connection: DriverConnection, orders: Sequence[tuple[Order, Sequence[reservations.HeldItem]]]
) -> None:
    """Insert orders with their lines, in the round trip of the caller."""
    await send(connection, _INSERT, rows([{name: getattr(order, name) for name in _COLUMNS} for order, _ in orders]))
    lines = [
        {"organization_id": order.organization_id, "order_id": order.id, **item._asdict()}
        for order, items in orders
        for item in items
    ]
    await send(connection, _INSERT_LINES, rows(lines))


def describe_new(
    order: Order, hold: reservations.HoldRow, items: Sequence[reservations.HeldItem], context: OrderContext
) -> OrderOut:
    """The order as reading it back would describe it."""
    order.created_at = context.now
    event = OrderEventOut(
        id=hold.event_id,
        title=context.title,
        starts_at=context.starts_at,
        timezone=context.timezone,
        venue_name=context.venue_name,
    )
    return OrderOut.of(order, items, event, hold.expires_at)
