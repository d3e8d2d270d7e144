"""Release the seats of many lapsed holds at once, across events: the part of an expiry that belongs to events."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import rows

# Locked in key order, as everywhere, before anything is written.
_RELEASE = """
with due as materialized (
    select s.organization_id, s.event_id, s.number, s.reservation_id
      from event_seats s
      join json_to_recordset(%s::json)
           as d (organization_id uuid, event_id uuid, number integer, reservation_id uuid)
        on s.organization_id = d.organization_id and s.event_id = d.event_id and s.number = d.number
     where s.status = 'h' and s.reservation_id = d.reservation_id
     order by s.organization_id, s.event_id, s.number for update of s)
update event_seats s set status = 'a', reservation_id = null, held_until = null, version = s.version + 1
  from due
 where s.organization_id = due.organization_id and s.event_id = due.event_id and s.number = due.number
   and s.reservation_id = due.reservation_id and s.status = 'h'"""


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """A seat, and the reservation expected to hold it."""

    organization_id: UUID
    event_id: UUID
    number: int
    reservation_id: UUID


async def release_held(session: AsyncSession, seats: Sequence[HeldSeat]) -> None:
    """Make these seats available. A seat that another reservation holds by now is left unchanged."""
    if seats:
        await statements.execute(session, _RELEASE, rows(list(seats)))
