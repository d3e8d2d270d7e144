"""What stands against a sale when its money arrives: the event, the buyer's cancellation, the sale's end, the limit.

A hold that is running was checked when it was made, and is sold whatever has changed since, unless its event is not
published any more. Money for a hold that has run out is a new purchase: the sale must not have ended, and the buyer's
other places are counted again under the lock of the purchase limit. A hold that was given back is never sold.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, send
from ticketing.modules import events, reservations
from ticketing.modules.orders.models import PAID_STATUSES, Order, OrderStatus


class Unsold(StrEnum):
    """Why an order could not be paid."""

    EVENT_OFF = "event_off"
    #: The buyer, or the erasure of the account, released the hold.
    GIVEN_BACK = "given_back"
    SALE_ENDED = "sale_ended"
    LIMIT_REACHED = "limit_reached"
    SEATS_GONE = "seats_gone"


class EventOfSale(NamedTuple):
    """The part of an event that a sale depends on, at the start of the transaction."""

    status: str
    max_per_buyer: int | None
    is_sale_over: bool


# As in `events.query_sale_terms`: an event without an end time is over one day after its start.
_SELECT_EVENT = """
select e.status, e.max_per_buyer,
       coalesce(e.sales_end_at <= now(), false) or coalesce(e.ends_at, e.starts_at + interval '1 day') <= now()
  from orders o join events e on e.id = o.event_id
 where o.id = """


async def query_event(connection: DriverConnection, which: str, *values: object) -> PendingQuery[EventOfSale]:
    """Read the event of an order. For `which` see `lock_order_row`."""
    return PendingQuery(_event, await send(connection, _SELECT_EVENT + which, *values))


def _event(found: Sequence[tuple[Any, ...]]) -> EventOfSale:
    (row,) = found
    return EventOfSale(*row)


async def find_refusal(
    session: AsyncSession,
    order_id: UUID,
    hold: reservations.HoldRow,
    items: Sequence[reservations.HeldItem],
    event: EventOfSale,
) -> Unsold | None:
    """The reason why this hold must not be sold; None if it may be. The caller has locked the order and the hold."""
    if event.status != events.EventStatus.PUBLISHED:
        return Unsold.EVENT_OFF
    if hold.status == reservations.ReservationStatus.CANCELLED:
        return Unsold.GIVEN_BACK
    if hold.status == reservations.ReservationStatus.CONFIRMED:
        return None
    if not hold.is_running and event.is_sale_over:
        return Unsold.SALE_ENDED
    # Before the seats: an allowance comes earlier in the lock order (see `service`).
    if event.max_per_buyer is not None and hold.is_ending:
        quantity = sum(item.quantity for item in items)
        if not await _is_within_limit(session, order_id, hold, quantity, event.max_per_buyer):
            return Unsold.LIMIT_REACHED
    return None


_IDENTITIES = """
select r.buyer_identity, o.buyer_identity
  from orders o join reservations r on r.organization_id = o.organization_id and r.id = o.reservation_id
 where o.id = %s"""


async def _is_within_limit(
    session: AsyncSession, order_id: UUID, hold: reservations.HoldRow, quantity: int, limit: int
) -> bool:
    """Lock the allowances of the buyer's account and of the order's address, and count both as for a new hold."""
    found = await statements.execute(session, _IDENTITIES, order_id)
    ((account, mailbox),) = await found.fetchall()
    await reservations.lock_identities(session, {one for one in (account, mailbox) if one is not None})
    # Until this moment no other transaction has counted the hold as lapsed, and from now on none can.
    if hold.is_running and not await reservations.has_lapsed(session, hold.id):
        return True
    buyer = (hold.organization_id, hold.event_id, hold.user_id, account, hold.id)
    had = await reservations.count_places_of_buyer(session, *buyer)
    if mailbox is not None:
        had = max(had, await count_ordered(session, hold.organization_id, hold.event_id, mailbox, order_id))
    return had + quantity <= limit


async def count_ordered(
    session: AsyncSession, organization_id: UUID, event_id: UUID, identity: bytes, but: UUID | None = None
) -> int:
    """The places of all orders of an event for this mailbox, from all accounts, without those of the order `but`."""
    ordered = select(Order.reservation_id).where(
        Order.organization_id == organization_id,
        Order.event_id == event_id,
        Order.buyer_identity == identity,
        Order.status.in_({OrderStatus.PENDING, *PAID_STATUSES}),
    )
    if but is not None:
        ordered = ordered.where(Order.id != but)
    return await reservations.count_places(session, organization_id, list(await session.scalars(ordered)))
