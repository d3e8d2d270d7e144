"""Choose the best available seats for a quantity: side by side, without leaving single seats, and best first.

The criteria, in order of priority:

1. *Side by side*: consecutive numbers in one row of one section. If no run of free seats is long enough, the group is
   split into as few parts as possible: the longest run first, until the rest fits in one run.
2. *No single seats*: a single seat is a free seat next to the chosen ones whose other neighbour is not free (taken, or
   the end of the row). Only the positions that leave the fewest single seats are considered: a row farther back without
   one is preferred to a better row with one.
3. *Best first*: of these, the position with the lowest number, because the plan's order is the order of quality.

A seat is free if it is available now, lapsed holds included, and its category has a price. A requested category or
section limits which seats can be chosen, not which seats count as free: a free neighbour of another category still
keeps a seat from being single.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from ticketing.modules.events.inventory.general_admission import SoldOut
from ticketing.modules.events.inventory.seat_rows import RunQuery, SeatRows, rows_of_plan
from ticketing.modules.events.inventory.seats import FREE


class SeatCountMismatch(Exception):
    """The number of statuses differs from the number of seats of the plan: a bug, never the client's fault."""


class FreeSeats:
    """The free seats of one event at one moment, from which several groups are chosen in turn. Does no I/O."""

    def __init__(self, rows: SeatRows, statuses: str, prices: Collection[str]) -> None:
        """`statuses` has one character per seat, at the index of its number, `a` if free.

        `prices` are the categories that have a price.

        Raises:
            SeatCountMismatch: there are more statuses than seats, or fewer.
        """
        if len(statuses) != len(rows.labels):
            raise SeatCountMismatch(f"{len(statuses)} statuses for {len(rows.labels)} seats")
        self._rows = rows
        self._free = rows.free_bits(statuses) & _union(rows.category_bits.get(category, 0) for category in prices)

    def choose(self, quantity: int, category: str | None = None, section: str | None = None) -> list[int]:
        """The numbers of the best seats for a group, in order; they stay free until `take`.

        Raises:
            SoldOut: fewer than `quantity` are free, with how many under `available`.
        """
        wanted = self._wanted(category, section)
        if (available := wanted.bit_count()) < quantity:
            raise SoldOut(field="best_available", available=available)
        free, numbers = self._free, list[int]()
        while len(numbers) < quantity:
            length, starts = _longest(wanted, quantity - len(numbers))
            start = _fewest_singles(free, starts, length)
            part = ((1 << length) - 1) << start
            free, wanted = free ^ part, wanted ^ part
            first = self._rows.number_at(start)
            numbers += range(first, first + length)
        return sorted(numbers)

    def take(self, numbers: Iterable[int]) -> None:
        """Mark these seats as taken; some of them may be taken already."""
        self._free = _without(self._free, _union(1 << self._rows.bit_of(number) for number in numbers))

    def label(self, number: int) -> str:
        return self._rows.labels[number]

    def category(self, number: int) -> str:
        return self._rows.categories[number]

    def number_of(self, label: str) -> int | None:
        """None for a label that the plan does not have."""
        return self._rows.numbers.get(label)

    def _wanted(self, category: str | None, section: str | None) -> int:
        wanted = self._free
        if category is not None:
            wanted &= self._rows.category_bits.get(category, 0)
        if section is not None:
            wanted &= self._rows.section_bits.get(section, 0)
        return wanted


# One statement for venue, version and statuses, so that no change of the plan can come between them. Ordered by the
# primary key, so that the statuses are concatenated as they are read. Events without seats have no row.
FREE_STATUSES = f"""
select e.id, e.venue_id, e.plan_version,
       coalesce((select string_agg(case when {FREE} then 'a' else s.status end, '' order by s.number)
                   from event_seats s where s.organization_id = e.organization_id and s.event_id = e.id), ''),
       array(select c.category from category_prices c
              where c.organization_id = e.organization_id and c.event_id = e.id)
  from events e
 where e.organization_id = %s and e.id = any(%s::uuid[]) and e.plan_version is not null"""  # noqa: S608 (only constants)


async def read_free_seats(
    run_query: RunQuery, organization_id: UUID, event_ids: Sequence[UUID]
) -> dict[UUID, FreeSeats]:
    """The free seats by event; an event without seats is missing. Locks nothing."""
    free = {}
    for event_id, venue_id, plan_version, statuses, prices in await run_query(
        FREE_STATUSES, organization_id, list(event_ids)
    ):
        rows = await rows_of_plan(run_query, organization_id, venue_id, plan_version)
        free[event_id] = FreeSeats(rows, statuses, prices)
    return free


# Below, a bit of `starts` is the first seat of a run; the next seat is one bit higher.


def _longest(wanted: int, most: int) -> tuple[int, int]:
    """The length of the longest run of `wanted`, at most `most`, and the starts of all runs of that length."""
    length, starts = 1, wanted
    halves = []
    while 2 * length <= most and (doubled := starts & starts >> length):
        halves.append((length, starts))
        length, starts = 2 * length, doubled
    for more, beginnings in reversed(halves):
        if length + more <= most and (longer := starts & beginnings >> length):
            length, starts = length + more, longer
    return length, starts


def _fewest_singles(free: int, starts: int, length: int) -> int:
    """The first of the runs that leave the fewest single seats beside them."""
    before = _without(free << 1, free << 2)
    after = _without(free >> length, free >> length + 1)
    best = _without(starts, before | after) or _without(starts, before & after) or starts
    return (best & -best).bit_length() - 1


def _without(bits: int, others: int) -> int:
    return bits ^ (bits & others)


def _union(parts: Iterable[int]) -> int:
    union = 0
    for part in parts:
        union |= part
    return union
