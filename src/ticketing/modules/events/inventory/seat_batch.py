"""Hold seats for a whole batch: one statement locks the free seats among those wanted, one writes the holds.

The rules are those of seats.py: rows are locked in key order, each WHERE clause names the expected owner, and a hold
that has lapsed by Postgres' clock does not count. SKIP LOCKED: a batch never waits for a seat that another transaction
has locked.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.modules.events.inventory.seats import FREE

#: An event, and the label of one of its seats.
SeatKey = tuple[UUID, str]


class FreeSeat(NamedTuple):
    """A seat locked for this transaction; `lapsed` is the reservation whose lapsed hold is still on it, if any."""

    number: int
    category: str
    lapsed: UUID | None


class SeatHold(TypedDict):
    """What a hold writes to one seat."""

    event_id: UUID
    number: int
    reservation_id: UUID
    hold_until: datetime


#: The seats locked for this transaction, and those that are not: True when taken, False when another transaction has
#: locked them. An unknown seat is in neither.
LockedSeats = tuple[dict[SeatKey, FreeSeat], dict[SeatKey, bool]]

_OF_EVENT = "s.organization_id = %s and s.event_id = w.event_id and s.label = w.label"
# One statement, one round trip. A seat that the snapshot shows as free but SKIP LOCKED skipped is locked elsewhere.
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


async def lock_seats(
    connection: DriverConnection, organization_id: UUID, wanted: Collection[SeatKey]
) -> PendingQuery[LockedSeats]:
    """Lock the free seats among those that a batch wants, and find out why the others are not free."""
    spots = list(dict.fromkeys(wanted))
    named = rows([{"n": n, "event_id": event_id, "label": label} for n, (event_id, label) in enumerate(spots)])
    return PendingQuery(partial(_locked, spots), await send(connection, _LOCK, named, organization_id, organization_id))


def _locked(spots: list[SeatKey], found: Iterable[tuple[Any, ...]]) -> LockedSeats:
    free, lost = dict[SeatKey, FreeSeat](), dict[SeatKey, bool]()
    for n, is_taken, *seat in found:
        if is_taken is None:
            free[spots[n]] = FreeSeat(*seat)
        else:
            lost[spots[n]] = is_taken
    return free, lost


# These rows were locked as free earlier in the same transaction, so a different count is a bug. The division by zero
# aborts the transaction on the server: the commit may already be in the pipeline behind this statement.
_HOLD = f"""
with held as (
    update event_seats s
       set status = 'h', reservation_id = w.reservation_id, held_until = w.hold_until, version = s.version + 1
      from json_to_recordset(%s::json)
           as w (event_id uuid, number integer, reservation_id uuid, hold_until timestamptz)
     where s.organization_id = %s and s.event_id = w.event_id and s.number = w.number and {FREE}
 returning 1)
select 1 / cast(count(*) = %s as integer) from held"""  # noqa: S608 (only constants)


async def hold_locked(connection: DriverConnection, organization_id: UUID, seats: list[SeatHold]) -> None:
    """Hold seats that `lock_seats` found free. The transaction fails if one of them is not."""
    await send(connection, _HOLD, rows(seats), organization_id, len(seats))


class SeatSale(TypedDict):
    """A held seat that is sold to the reservation that holds it."""

    event_id: UUID
    number: int
    reservation_id: UUID


# The lateral query locks the seats one after the other, in the order in which they are given. A different count is a
# bug, which aborts the transaction on the server as above.
_SELL = """
with mine as materialized (
    select s.event_id, s.number
      from json_to_recordset(%s::json) as w (event_id uuid, number integer, reservation_id uuid)
     cross join lateral (select event_id, number from event_seats
                          where organization_id = %s and event_id = w.event_id and number = w.number
                            and reservation_id = w.reservation_id and status = 'h' for update) as s),
sold as (
    update event_seats s set status = 's', held_until = null, version = s.version + 1
      from mine where s.organization_id = %s and s.event_id = mine.event_id and s.number = mine.number
 returning 1)
select 1 / cast(count(*) = %s as integer) from sold"""


async def sell_held(connection: DriverConnection, organization_id: UUID, seats: Iterable[SeatSale]) -> None:
    """Sell held seats, locked in key order. The transaction fails if one of them is not held by its reservation."""
    ordered = sorted(seats, key=lambda seat: (seat["event_id"], seat["number"]))
    await send(connection, _SELL, rows(ordered), organization_id, organization_id, len(ordered))
