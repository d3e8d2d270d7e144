"""General admission: places that are counted, not numbered. The CHECK on the row refuses to sell more than there are.

One UPDATE per ticket type, in the order of ids, so two buyers of the same two types can't wait for each other in a
circle. The row lock lasts as long as the caller's transaction: short.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import Conflict


class SoldOut(Conflict):
    """There are not enough places left."""

    code = "sold_out"


class PlacesLost(Exception):
    """A counter is lower than what a reservation says it put there: a bug, never the client's fault."""


Quantities = Mapping[UUID, int]


async def release_places(
    session: AsyncSession, event_id: UUID, quantities: Quantities, *, from_sold: bool = False
) -> None:
    """Give held (or sold) places back.

    Raises:
        PlacesLost: fewer were held (or sold) than are given back.
    """
    await _move(session, _RELEASE_SOLD if from_sold else _RELEASE_HELD, event_id, quantities)


async def mark_places_sold(session: AsyncSession, event_id: UUID, quantities: Quantities) -> None:
    """Turn held places into sold ones.

    Raises:
        PlacesLost: fewer were held than are sold.
    """
    await _move(session, _SELL, event_id, quantities)


async def retake_places(session: AsyncSession, event_id: UUID, quantities: Quantities) -> bool:
    """Sell places that are no longer held, for money that came late: all of them, or False and nothing is changed."""
    ids = sorted(quantities)
    rows = (await session.execute(_LOCK, {"event_id": event_id, "ids": ids})).all()
    left = {row.id: row.available for row in rows}
    if any(left.get(ticket_type_id, 0) < quantities[ticket_type_id] for ticket_type_id in ids):
        return False
    await _move(session, _RETAKE, event_id, quantities)
    return True


async def _move(session: AsyncSession, statement: Any, event_id: UUID, quantities: Quantities) -> None:
    for ticket_type_id, quantity in sorted(quantities.items()):
        if not await _count(session, statement, event_id, ticket_type_id, quantity):
            raise PlacesLost(f"ticket type {ticket_type_id} has less than {quantity} to move")


async def _count(session: AsyncSession, statement: Any, event_id: UUID, ticket_type_id: UUID, quantity: int) -> bool:
    # A negative quantity would turn the meaning of every statement below round.
    if quantity < 1:
        raise ValueError("a quantity is at least 1")
    values = {"event_id": event_id, "id": ticket_type_id, "quantity": quantity}
    result = await session.execute(statement, values)
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


_ONE = "where id = :id and event_id = :event_id and capacity is not null"
_LEFT = "capacity - held - sold"
_RETAKE = text(f"update ticket_types set sold = sold + :quantity {_ONE} and {_LEFT} >= :quantity")  # noqa: S608
_RELEASE_HELD = text(f"update ticket_types set held = held - :quantity {_ONE} and held >= :quantity")  # noqa: S608
_RELEASE_SOLD = text(f"update ticket_types set sold = sold - :quantity {_ONE} and sold >= :quantity")  # noqa: S608
_SELL = text(f"""
update ticket_types set held = held - :quantity, sold = sold + :quantity {_ONE} and held >= :quantity""")  # noqa: S608
_LOCK = text(f"""
select id, {_LEFT} as available from ticket_types
 where event_id = :event_id and id = any(:ids) and capacity is not null
 order by id for update""")  # noqa: S608
