"""Holding seats for a whole batch: one statement locks what is free of all that is wanted, one writes what was won.

The rules are those of seats.py: locks in the order of the key, the owner that is expected in the WHERE clause, a hold
that has run out by Postgres' clock is no hold. SKIP LOCKED: a seat that somebody else is deciding about is not waited
for.
"""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple, TypedDict
from uuid import UUID

from ticketing.infra.db.pipeline import Cursor, Wire, rows, send
from ticketing.modules.events.inventory.seats import FREE

#: An event, and the label of one of its seats.
Spot = tuple[UUID, str]


class FreeSeat(NamedTuple):
    """A seat that is ours to hold until the transaction ends; `lapsed` is whose run-out hold is still on it."""

    number: int
    category: str
    lapsed: UUID | None


class HeldRow(TypedDict):
    """What is written for a seat that was won."""

    event_id: UUID
    number: int
    reservation_id: UUID
    hold_until: datetime


class LockedSeats:
    """The seats that a batch wants: the free ones are locked, of the others it is told why they are not."""

    def __init__(self, spots: list[Spot], cursor: Cursor) -> None:
        self._spots, self._cursor = spots, cursor

    @classmethod
    async def ask(cls, wire: Wire, organization_id: UUID, wanted: Collection[Spot]) -> "LockedSeats":
        spots = list(dict.fromkeys(wanted))
        named = rows([{"n": n, "event_id": event_id, "label": label} for n, (event_id, label) in enumerate(spots)])
        return cls(spots, await send(wire, _LOCK, named, organization_id, organization_id))

    async def read(self) -> tuple[dict[Spot, FreeSeat], dict[Spot, bool]]:
        """What is ours until the transaction ends; and what is not: True when it is taken, False when somebody else is
        deciding about it. An unknown seat is in neither."""
        free, lost = dict[Spot, FreeSeat](), dict[Spot, bool]()
        for n, is_taken, *seat in await self._cursor.fetchall():
            if is_taken is None:
                free[self._spots[n]] = FreeSeat(*seat)
            else:
                lost[self._spots[n]] = is_taken
        return free, lost


async def hold_locked(wire: Wire, organization_id: UUID, seats: list[HeldRow]) -> None:
    """Hold seats that `LockedSeats` has found free. The transaction fails when one of them is not."""
    await send(wire, _HOLD, rows(seats), organization_id, len(seats))


_OF_EVENT = "s.organization_id = %s and s.event_id = w.event_id and s.label = w.label"
# One statement and one round trip. What a snapshot shows as free, and could not be locked, is being decided about.
_LOCK = f"""
with wanted as materialized (
    select * from json_to_recordset(%s::json) as w (n integer, event_id uuid, label text)),
locked as materialized (
    select w.n, s.number, s.category, s.reservation_id from wanted w join event_seats s on {_OF_EVENT}
     where {FREE}
     order by s.event_id, s.number
       for update of s skip locked)
select w.n, lost.is_taken, l.number, l.category, l.reservation_id
  from wanted w
  left join locked l on l.n = w.n
  left join lateral (select not {FREE} as is_taken from event_seats s where l.n is null and {_OF_EVENT}) as lost on true
 where l.n is not null or lost.is_taken is not null"""  # noqa: S608 (only constants)

# They were locked as free in this very transaction, so a count that differs is a bug. Dividing by zero stops the
# transaction here and now: the commit may be on its way behind this statement.
_HOLD = f"""
with held as (
    update event_seats s
       set status = 'h', reservation_id = w.reservation_id, held_until = w.hold_until, version = s.version + 1
      from json_to_recordset(%s::json)
           as w (event_id uuid, number integer, reservation_id uuid, hold_until timestamptz)
     where s.organization_id = %s and s.event_id = w.event_id and s.number = w.number and {FREE}
 returning 1)
select 1 / cast(count(*) = %s as integer) from held"""  # noqa: S608 (only constants)
