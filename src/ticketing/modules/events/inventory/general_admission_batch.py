"""Hold general-admission places for a whole batch: each counter is locked once and written once."""

from collections.abc import Collection, Mapping
from uuid import UUID

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send

# In id order, as everywhere (see general_admission.py).
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


async def lock_places(
    connection: DriverConnection, organization_id: UUID, ticket_type_ids: Collection[UUID]
) -> PendingQuery[dict[UUID, int]]:
    """Lock the counters of these ticket types, all that the batch may change; the available places of each."""
    return PendingQuery(dict, await send(connection, _LOCK, organization_id, sorted(ticket_type_ids)))


async def hold_places(connection: DriverConnection, organization_id: UUID, quantities: Mapping[UUID, int]) -> None:
    """Add to counters that `lock_places` has locked. The transaction fails if one of them has too little room."""
    wanted = [{"id": ticket_type_id, "quantity": quantity} for ticket_type_id, quantity in quantities.items()]
    await send(connection, _HOLD, rows(wanted), organization_id, len(wanted))


_SELL = """
with sold as (
    update ticket_types t set held = t.held - w.quantity, sold = t.sold + w.quantity
      from json_to_recordset(%s::json) as w (id uuid, quantity integer)
     where t.organization_id = %s and t.id = w.id and t.capacity is not null and t.held >= w.quantity
 returning 1)
select 1 / cast(count(*) = %s as integer) from sold"""


async def sell_places(connection: DriverConnection, organization_id: UUID, quantities: Mapping[UUID, int]) -> None:
    """Lock counters in key order, and turn held places into sold ones. Fails if one of them has too few held."""
    await send(connection, _LOCK, organization_id, sorted(quantities))
    wanted = [{"id": ticket_type_id, "quantity": quantity} for ticket_type_id, quantity in quantities.items()]
    await send(connection, _SELL, rows(wanted), organization_id, len(wanted))
