"""Who owns a seat: the only code that hands seats out, sells them and takes them back.

Every statement is set-based, names the owner that it expects in its WHERE clause, and bumps the seat's `version`.
Locks are taken in the order of `number`, so two of these functions can't wait for each other in a circle. A hold that
has run out by Postgres' clock is no hold: the seat is available at that instant, whether anybody has swept it or not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import Wire, send
from ticketing.infra.errors import Conflict, TicketingError


class SeatUnknown(TicketingError):
    """There is no such seat at this event."""

    status, code = 422, "seat_unknown"


class SeatTaken(Conflict):
    """One of these seats is already held or sold."""

    code = "seat_unavailable"


class SeatContended(Conflict):
    """Somebody else is asking for one of these seats at this very moment; try again."""

    code, retry_after_seconds = "seat_contended", 1


class SeatsLost(Exception):
    """The seats are not owned by the reservation that its row says they are: a bug, never the client's fault."""


@dataclass(frozen=True, slots=True)
class Retaken:
    """The seats that changed hands, and the reservations whose run-out holds were overwritten."""

    numbers: list[int]
    lapsed: set[UUID]


async def retake_seats(
    session: AsyncSession, organization_id: UUID, event_id: UUID, numbers: Sequence[int], reservation_id: UUID
) -> Retaken | None:
    """Sell seats whose hold may have run out, for money that came late: all of them, or None and nothing is changed.

    A seat can be had when it is available, under a run-out hold, or still this reservation's own.
    """
    place = {"organization_id": organization_id, "event_id": event_id, "numbers": list(numbers)}
    rows = (await session.execute(_LOCK_NUMBERS, place)).all()
    if len(rows) != len(set(numbers)):
        return None
    if not all(row.is_free or row.reservation_id == reservation_id for row in rows):
        return None
    changing = [row.number for row in rows if row.status != "s"]
    sold = {**place, "numbers": changing, "reservation_id": reservation_id}
    _expect(await session.execute(_SELL_AGAIN, sold), len(changing))
    return Retaken(changing, _lapsed(rows, reservation_id))


async def extend_seats(
    session: AsyncSession,
    organization_id: UUID,
    event_id: UUID,
    reservation_id: UUID,
    numbers: Sequence[int],
    held_until: datetime,
) -> None:
    """Move the end of a hold.

    Raises:
        SeatsLost: one of the seats is not held by this reservation.
    """
    owned = _owned(organization_id, event_id, reservation_id, numbers)
    _expect(await session.execute(_EXTEND, {**owned, "held_until": held_until}), len(set(numbers)))


async def release_seats(
    session: AsyncSession, organization_id: UUID, event_id: UUID, reservation_id: UUID, numbers: Sequence[int]
) -> list[int]:
    """Give back those of the seats that this reservation still owns, held or sold; answers their numbers, sorted."""
    result = await session.execute(_RELEASE, _owned(organization_id, event_id, reservation_id, numbers))
    return sorted(result.scalars())


async def sell_seats(
    wire: Wire, organization_id: UUID, event_id: UUID, reservation_id: UUID, numbers: Sequence[int]
) -> PendingQuery[None]:
    """Turn held seats into sold ones.

    Fetching raises SeatsLost if one of the seats was not held by the reservation: the caller must roll back.
    """
    wanted = (organization_id, event_id, reservation_id, list(numbers))
    return PendingQuery(partial(_expect_sold, len(set(numbers))), await send(wire, _SELL, *wanted, *wanted[:3]))


def _expect_sold(count: int, sold: Sequence[object]) -> None:
    if len(sold) != count:
        raise SeatsLost(f"{len(sold)} of {count} seats were changed")


def _lapsed(rows: Iterable[Any], reservation_id: UUID) -> set[UUID]:
    return {row.reservation_id for row in rows if row.reservation_id not in {None, reservation_id}}


def _owned(organization_id: UUID, event_id: UUID, reservation_id: UUID, numbers: Sequence[int]) -> dict[str, Any]:
    return {
        "organization_id": organization_id,
        "event_id": event_id,
        "reservation_id": reservation_id,
        "numbers": list(numbers),
    }


def _expect(result: Any, count: int) -> None:
    assert isinstance(result, CursorResult)
    if result.rowcount != count:
        raise SeatsLost(f"{result.rowcount} of {count} seats were changed")


# `<=` mirrors the trigger, which defends a hold while `held_until > now()`.
FREE = "(status = 'a' or status = 'h' and held_until <= now())"
_PLACE = "organization_id = :organization_id and event_id = :event_id"
_NUMBERED = f"{_PLACE} and number = any(cast(:numbers as integer[]))"
# An UPDATE locks rows in the order in which it happens to find them; this reads and locks them in ours.
_IN_ORDER = f"""
with mine as materialized (
    select number from event_seats where {_NUMBERED} and reservation_id = :reservation_id order by number for update)
update event_seats e set version = e.version + 1,"""  # noqa: S608 (only constants)
_MINE = """
 where e.organization_id = :organization_id and e.event_id = :event_id and e.number = mine.number
   and e.reservation_id = :reservation_id"""

_LOCK_NUMBERS = text(f"""
select number, status, reservation_id, {FREE} as is_free from event_seats
 where {_NUMBERED} order by number for update""")  # noqa: S608
_SELL_AGAIN = text(f"""
update event_seats set status = 's', reservation_id = :reservation_id, held_until = null, version = version + 1
 where {_NUMBERED} and ({FREE} or status = 'h' and reservation_id = :reservation_id)""")  # noqa: S608
_EXTEND = text(f"{_IN_ORDER} held_until = :held_until from mine {_MINE} and e.status = 'h'")
_SELL = """
with mine as materialized (
    select number from event_seats
     where organization_id = %s and event_id = %s and reservation_id = %s and number = any(%s::integer[])
     order by number for update)
update event_seats e set version = e.version + 1, status = 's', held_until = null from mine
 where e.organization_id = %s and e.event_id = %s and e.reservation_id = %s and e.number = mine.number
   and e.status = 'h'
returning e.number"""
_RELEASE = text(f"""{_IN_ORDER} status = 'a', reservation_id = null, held_until = null
  from mine {_MINE} and e.status in ('h', 's')
returning e.number""")
