"""Gives back the seats of many run-out holds at once, of whatever event: the other half of an expiry."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """A seat, and the reservation that is believed to hold it."""

    organization_id: UUID
    event_id: UUID
    number: int
    reservation_id: UUID


async def release_held(session: AsyncSession, seats: Sequence[HeldSeat]) -> None:
    """Make these seats available; those that have another holder by now stay as they are."""
    if seats:
        columns = {
            "organizations": [seat.organization_id for seat in seats],
            "events": [seat.event_id for seat in seats],
            "numbers": [seat.number for seat in seats],
            "reservations": [seat.reservation_id for seat in seats],
        }
        await session.execute(_RELEASE, columns)


# Locked in the order of the key, as everywhere, before anything is written.
_RELEASE = text("""
with due as materialized (
    select s.organization_id, s.event_id, s.number, s.reservation_id
      from event_seats s
      join unnest(cast(:organizations as uuid[]), cast(:events as uuid[]), cast(:numbers as integer[]),
                  cast(:reservations as uuid[])) as d (organization_id, event_id, number, reservation_id)
        on s.organization_id = d.organization_id and s.event_id = d.event_id and s.number = d.number
     where s.status = 'h' and s.reservation_id = d.reservation_id
     order by s.organization_id, s.event_id, s.number for update of s)
update event_seats s set status = 'a', reservation_id = null, held_until = null, version = s.version + 1
  from due
 where s.organization_id = due.organization_id and s.event_id = due.event_id and s.number = due.number
   and s.reservation_id = due.reservation_id and s.status = 'h'""")
