"""Ownership of seats: together with seat_batch.py the only code that holds, sells and releases seats.

Every statement is set-based, names the expected owner in its WHERE clause, and increments the seat's `version`. Rows
are locked in order of `number`, so that two of these functions can't deadlock. A hold that has lapsed by Postgres'
clock does not count: the seat is available at that instant, whether the hold has been expired or not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import Cursor, DriverConnection, send
from ticketing.infra.errors import Conflict, TicketingError


class SeatUnknown(TicketingError):
    """There is no such seat at this event."""

    status, code = 422, "seat_unknown"


class SeatTaken(Conflict):
    """One of these seats is already held or sold."""

    code = "seat_unavailable"


class SeatContended(Conflict):
    """Another request for one of these seats is in progress; try again."""

    code, retry_after_seconds = "seat_contended", 1


class SeatsLost(Exception):
    """Seats are not owned by the reservation that its row says: a bug, never the client's fault."""


# `<=` mirrors the trigger, which protects a hold while `held_until > now()`.
FREE = "(status = 'a' or status = 'h' and held_until <= now())"


def padded_statuses(status: str, last: str, organization_id: str, event_id: str) -> str:
    """SQL for the statuses of an event's seats `s` up to the number `last`, with `b` for a number that has no seat.

    A later version of a plan has such gaps. Use it only for an event with gaps: the join is slower than reading the
    seats in order.
    """
    return f"""
    (select string_agg(coalesce({status}, 'b'), '' order by n.number)
       from generate_series(0, {last}) as n (number)
       left join event_seats s on s.organization_id = {organization_id} and s.event_id = {event_id}
                              and s.number = n.number)"""  # noqa: S608 (only constants)


_LOCK_NUMBERS = f"""
select number, status, reservation_id, {FREE} from event_seats
 where organization_id = %s and event_id = %s and number = any(%s::integer[])
 order by number for update"""  # noqa: S608 (only constants)
_LAPSED_OWNERS = """
select distinct reservation_id from event_seats
 where organization_id = %s and event_id = %s and number = any(%s::integer[])
   and status = 'h' and held_until <= now()"""
_RETAKE = f"""
update event_seats s set status = 's', reservation_id = w.reservation_id, held_until = null, version = s.version + 1
  from (select %s::uuid as organization_id, %s::uuid as event_id, %s::integer[] as numbers,
               %s::uuid as reservation_id) as w
 where s.organization_id = w.organization_id and s.event_id = w.event_id and s.number = any(w.numbers)
   and ({FREE} or s.status = 'h' and s.reservation_id = w.reservation_id)"""  # noqa: S608 (only constants)

# An UPDATE locks rows in the order in which it finds them; this locks them in order of number first.
_LOCK_OWNED = """
with mine as materialized (
    select number from event_seats
     where organization_id = %s and event_id = %s and reservation_id = %s and number = any(%s::integer[])
     order by number for update)
update event_seats e set version = e.version + 1,"""
_OWNED = """
  from mine
 where e.organization_id = %s and e.event_id = %s and e.reservation_id = %s and e.number = mine.number"""
_EXTEND = f"{_LOCK_OWNED} held_until = %s {_OWNED} and e.status = 'h'"
_SELL = f"{_LOCK_OWNED} status = 's', held_until = null {_OWNED} and e.status = 'h' returning e.number"
_RELEASE = f"""{_LOCK_OWNED} status = 'a', reservation_id = null, held_until = null {_OWNED}
   and e.status in ('h', 's') returning e.number"""


class _LockedSeat(NamedTuple):
    number: int
    status: str
    reservation_id: UUID | None
    is_free: bool


@dataclass(frozen=True, slots=True)
class Retaken:
    """The seats that were sold, and the reservations whose lapsed holds were overwritten."""

    numbers: list[int]
    lapsed: set[UUID]


async def find_lapsed_owners(
    session: AsyncSession, organization_id: UUID, event_id: UUID, numbers: Sequence[int]
) -> set[UUID]:
    """The reservations whose lapsed holds are still on these seats."""
    found = await statements.execute(session, _LAPSED_OWNERS, organization_id, event_id, list(numbers))
    return {owner for (owner,) in await found.fetchall()}


async def retake_seats(
    session: AsyncSession, organization_id: UUID, event_id: UUID, numbers: Sequence[int], reservation_id: UUID
) -> Retaken | None:
    """Sell seats whose hold may have lapsed, for a late payment: all of them, or none and return None.

    A seat can be sold when it is available, under a lapsed hold, or still held by this reservation.
    """
    locked = await statements.execute(session, _LOCK_NUMBERS, organization_id, event_id, list(numbers))
    rows = [_LockedSeat(*row) for row in await locked.fetchall()]
    if len(rows) != len(set(numbers)):
        return None
    if not all(row.is_free or row.reservation_id == reservation_id for row in rows):
        return None
    changing = [row.number for row in rows if row.status != "s"]
    _expect(
        await statements.execute(session, _RETAKE, organization_id, event_id, changing, reservation_id), len(changing)
    )
    others = {row.reservation_id for row in rows if row.reservation_id is not None}
    return Retaken(changing, others - {reservation_id})


async def extend_seats(
    session: AsyncSession,
    organization_id: UUID,
    event_id: UUID,
    reservation_id: UUID,
    numbers: Sequence[int],
    held_until: datetime,
) -> None:
    """Change the end of a hold.

    Raises:
        SeatsLost: one of the seats is not held by this reservation.
    """
    owner = (organization_id, event_id, reservation_id)
    extended = await statements.execute(session, _EXTEND, *owner, list(numbers), held_until, *owner)
    _expect(extended, len(set(numbers)))


async def release_seats(
    session: AsyncSession, organization_id: UUID, event_id: UUID, reservation_id: UUID, numbers: Sequence[int]
) -> list[int]:
    """Make those of the seats available that this reservation holds or owns; returns their numbers, sorted."""
    owner = (organization_id, event_id, reservation_id)
    released = await statements.execute(session, _RELEASE, *owner, list(numbers), *owner)
    return sorted(number for (number,) in await released.fetchall())


async def sell_seats(
    connection: DriverConnection, organization_id: UUID, event_id: UUID, reservation_id: UUID, numbers: Sequence[int]
) -> PendingQuery[None]:
    """Turn held seats into sold ones.

    Fetching raises SeatsLost if one of the seats was not held by the reservation: the caller must roll back.
    """
    owner = (organization_id, event_id, reservation_id)
    sold = await send(connection, _SELL, *owner, list(numbers), *owner)
    return PendingQuery(partial(_expect_sold, len(set(numbers))), sold)


def _expect_sold(count: int, sold: Sequence[object]) -> None:
    if len(sold) != count:
        raise SeatsLost(f"{len(sold)} of {count} seats were changed")


def _expect(changed: Cursor, count: int) -> None:
    if changed.rowcount != count:
        raise SeatsLost(f"{changed.rowcount} of {count} seats were changed")
