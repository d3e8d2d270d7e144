"""General admission: places that are counted, not numbered. A CHECK on the row refuses to sell more than there are.

Several counters are locked by one statement, in order of organization and id, whatever their events, before the first
one changes. Counters are the last rows that a transaction locks (see `orders.service`); one that moves places more than
once calls `lock_counters` for all of them before. The locks last as long as the transaction, which is short.
"""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.errors import Conflict

_LEFT = "t.capacity - t.held - t.sold"
_LOCK = f"""
select t.id, {_LEFT} from ticket_types t where t.id = any(%s::uuid[]) and t.capacity is not null
 order by t.organization_id, t.id for update"""  # noqa: S608 (only constants)
_ONE = """
  from (select %s::uuid as id, %s::integer as quantity) as w
 where t.id = w.id and t.capacity is not null"""
_SELL = f"""
update ticket_types t set held = t.held - w.quantity, sold = t.sold + w.quantity {_ONE} and t.held >= w.quantity"""  # noqa: S608 (only constants)
_RETAKE = f"update ticket_types t set sold = t.sold + w.quantity {_ONE} and {_LEFT} >= w.quantity"  # noqa: S608
_RELEASE_HELD = f"update ticket_types t set held = t.held - w.quantity {_ONE} and t.held >= w.quantity"  # noqa: S608
_RELEASE_SOLD = f"update ticket_types t set sold = t.sold - w.quantity {_ONE} and t.sold >= w.quantity"  # noqa: S608


class SoldOut(Conflict):
    """There are not enough places left."""

    code = "sold_out"


class PlacesLost(Exception):
    """A counter is lower than the places that a reservation has in it: a bug, never the client's fault."""


Quantities = Mapping[UUID, int]


async def lock_counters(session: AsyncSession, ticket_type_ids: Collection[UUID]) -> dict[UUID, int]:
    """Lock the counters of these ticket types until the transaction ends; the available places of each."""
    if not ticket_type_ids:
        return {}
    return dict(await (await statements.execute(session, _LOCK, list(ticket_type_ids))).fetchall())


async def release_places(session: AsyncSession, quantities: Quantities, *, from_sold: bool = False) -> None:
    """Make held (or sold) places available; the ticket types may be those of several events.

    Raises:
        PlacesLost: fewer places are held (or sold) than are released.
    """
    await _move(session, _RELEASE_SOLD if from_sold else _RELEASE_HELD, quantities)


async def mark_places_sold(session: AsyncSession, quantities: Quantities) -> None:
    """Turn held places into sold ones.

    Raises:
        PlacesLost: fewer places are held than are sold.
    """
    await _move(session, _SELL, quantities)


async def retake_places(session: AsyncSession, quantities: Quantities) -> bool:
    """Sell places that are no longer held, for a late payment: all of them, or none and return False."""
    available = await lock_counters(session, quantities)
    if any(available.get(ticket_type_id, 0) < quantity for ticket_type_id, quantity in quantities.items()):
        return False
    await _move(session, _RETAKE, quantities)
    return True


async def _move(session: AsyncSession, statement: str, quantities: Quantities) -> None:
    # A negative quantity would reverse the meaning of every statement above.
    if any(quantity < 1 for quantity in quantities.values()):
        raise ValueError("a quantity is at least 1")
    if len(quantities) > 1:  # one counter, the usual case, is locked by its update
        await lock_counters(session, quantities)
    for ticket_type_id, quantity in quantities.items():
        moved = await statements.execute(session, statement, ticket_type_id, quantity)
        if moved.rowcount != 1:
            raise PlacesLost(f"ticket type {ticket_type_id} has less than {quantity} to move")
