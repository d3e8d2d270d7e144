"""General admission: places that are counted, not numbered. A CHECK on the row refuses to sell more than there are.

One UPDATE per ticket type, in id order, so that two buyers of the same two types can't deadlock. The row lock lasts as
long as the caller's transaction, which is short.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.errors import Conflict

_ONE = """
  from (select %s::uuid as id, %s::uuid as event_id, %s::integer as quantity) as w
 where t.id = w.id and t.event_id = w.event_id and t.capacity is not null"""
_LEFT = "t.capacity - t.held - t.sold"
_SELL = f"""
update ticket_types t set held = t.held - w.quantity, sold = t.sold + w.quantity {_ONE} and t.held >= w.quantity"""  # noqa: S608 (only constants)
_RETAKE = f"update ticket_types t set sold = t.sold + w.quantity {_ONE} and {_LEFT} >= w.quantity"  # noqa: S608
_RELEASE_HELD = f"update ticket_types t set held = t.held - w.quantity {_ONE} and t.held >= w.quantity"  # noqa: S608
_RELEASE_SOLD = f"update ticket_types t set sold = t.sold - w.quantity {_ONE} and t.sold >= w.quantity"  # noqa: S608
_LOCK = f"""
select t.id, {_LEFT} from ticket_types t
 where t.event_id = %s and t.id = any(%s::uuid[]) and t.capacity is not null
 order by t.id for update"""  # noqa: S608 (only constants)


class SoldOut(Conflict):
    """There are not enough places left."""

    code = "sold_out"


class PlacesLost(Exception):
    """A counter is lower than the places that a reservation has in it: a bug, never the client's fault."""


Quantities = Mapping[UUID, int]


async def release_places(
    session: AsyncSession, event_id: UUID, quantities: Quantities, *, from_sold: bool = False
) -> None:
    """Make held (or sold) places available.

    Raises:
        PlacesLost: fewer places are held (or sold) than are released.
    """
    await _move(session, _RELEASE_SOLD if from_sold else _RELEASE_HELD, event_id, quantities)


async def mark_places_sold(session: AsyncSession, event_id: UUID, quantities: Quantities) -> None:
    """Turn held places into sold ones.

    Raises:
        PlacesLost: fewer places are held than are sold.
    """
    await _move(session, _SELL, event_id, quantities)


async def retake_places(session: AsyncSession, event_id: UUID, quantities: Quantities) -> bool:
    """Sell places that are no longer held, for a late payment: all of them, or none and return False."""
    ids = sorted(quantities)
    available: dict[UUID, int] = dict(await (await statements.execute(session, _LOCK, event_id, ids)).fetchall())
    if any(available.get(ticket_type_id, 0) < quantities[ticket_type_id] for ticket_type_id in ids):
        return False
    await _move(session, _RETAKE, event_id, quantities)
    return True


async def _move(session: AsyncSession, statement: str, event_id: UUID, quantities: Quantities) -> None:
    for ticket_type_id, quantity in sorted(quantities.items()):
        # A negative quantity would reverse the meaning of every statement above.
        if quantity < 1:
            raise ValueError("a quantity is at least 1")
        moved = await statements.execute(session, statement, ticket_type_id, event_id, quantity)
        if moved.rowcount != 1:
            raise PlacesLost(f"ticket type {ticket_type_id} has less than {quantity} to move")
