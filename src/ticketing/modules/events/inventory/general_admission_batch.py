"""Holding places of general admission for a whole batch: each counter is locked once and written once."""

from collections.abc import Collection, Mapping
from uuid import UUID

from ticketing.infra.db.pipeline import Cursor, Wire, rows, send


class LockedPlaces:
    """How many places of each ticket type there are to be had, until the transaction ends."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    @classmethod
    async def ask(cls, wire: Wire, organization_id: UUID, ticket_type_ids: Collection[UUID]) -> "LockedPlaces":
        return cls(await send(wire, _LOCK, organization_id, sorted(ticket_type_ids)))

    async def read(self) -> dict[UUID, int]:
        return dict(await self._cursor.fetchall())


async def hold_places(wire: Wire, organization_id: UUID, quantities: Mapping[UUID, int]) -> None:
    """Add to the counters that `LockedPlaces` has locked. The transaction fails when one has less room than that."""
    wanted = [{"id": ticket_type_id, "quantity": quantity} for ticket_type_id, quantity in quantities.items()]
    await send(wire, _HOLD, rows(wanted), organization_id, len(wanted))


# In the order of ids, as everywhere: two batches that want the same two types can't wait in a circle.
_LOCK = """
select id, capacity - held - sold from ticket_types
 where organization_id = %s and id = any(%s::uuid[]) and capacity is not null
 order by id for update"""
_HOLD = """
with held as (
    update ticket_types t set held = t.held + w.quantity
      from json_to_recordset(%s::json) as w (id uuid, quantity integer)
     where t.organization_id = %s and t.id = w.id and t.capacity is not null
       and t.capacity - t.held - t.sold >= w.quantity
 returning 1)
select 1 / cast(count(*) = %s as integer) from held"""
