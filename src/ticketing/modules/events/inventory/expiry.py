"""Release the seats of many lapsed holds at once, across events: the part of an expiry that belongs to events."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pipeline import rows

_NAMED = (
    """json_to_recordset(%s::json) as d (organization_id uuid, event_id uuid, number integer, reservation_id uuid)"""
)
_IS_NAMED = "s.organization_id = d.organization_id and s.event_id = d.event_id and s.number = d.number"
_LOCK = f"""
select s.organization_id, s.event_id, s.number, s.reservation_id from {_NAMED} join event_seats s on {_IS_NAMED}
 order by s.organization_id, s.event_id, s.number for update of s"""  # noqa: S608 (only constants)
_RELEASE = f"""
update event_seats s set status = 'a', reservation_id = null, held_until = null, version = s.version + 1
  from {_NAMED}
 where {_IS_NAMED} and s.reservation_id = d.reservation_id and s.status = 'h'"""  # noqa: S608 (only constants)


@dataclass(frozen=True, slots=True)
class HeldSeat:
    """A seat, and the reservation expected to hold it."""

    organization_id: UUID
    event_id: UUID
    number: int
    reservation_id: UUID


async def lock_held(session: AsyncSession, seats: Sequence[HeldSeat], *, skip_locked: bool = False) -> set[HeldSeat]:
    """Lock these seats, in key order, and return them with the reservations that hold or own them.

    `skip_locked` leaves out those that another transaction has locked, instead of waiting for it.
    """
    if not seats:
        return set()
    locked = await statements.execute(session, _LOCK + " skip locked" * skip_locked, rows(list(seats)))
    return {HeldSeat(*row) for row in await locked.fetchall()}


async def release_held(session: AsyncSession, seats: Sequence[HeldSeat]) -> None:
    """Make seats that `lock_held` has locked available. One that another reservation holds is left unchanged."""
    if seats:
        await statements.execute(session, _RELEASE, rows(list(seats)))
