"""Choose the best available seats for a quantity: side by side, beside what the buyer has picked, and best first.

The criteria, in order of priority:

1. *Together*: side by side in one row, without an aisle. Where there is room, they are also side by side with seats
   that the buyer has picked. If no run of free seats is long enough, the group is split into as few parts as possible:
   the longest run first, until the rest fits in one run.
2. *Best*: of these, the run with the lowest cost per seat (`seat_quality.py`: distance and angle to the focal point).
   The rest of a group of which some are seated or picked is placed in the same section, as near to them as possible.
   Each single seat that is left over counts as three seats' widths more: a free seat next to the chosen ones whose
   other neighbour is not free (taken, an aisle, or the end of the row).
3. Of equally good ones, the one that the plan lists first.

A seat is free if it is available now, lapsed holds included, and its category has a price. A requested category or
section limits which seats can be chosen, not which seats count as free: a free neighbour of another category still
keeps a seat from being single.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import hypot, inf
from uuid import UUID

from ticketing.modules.events.inventory.general_admission import SoldOut
from ticketing.modules.events.inventory.ranked_runs import bits_of, flags_of, is_set, positions_of
from ticketing.modules.events.inventory.seat_quality import COST_SCALE
from ticketing.modules.events.inventory.seat_rows import RunQuery, SeatRows, rows_of_plan
from ticketing.modules.events.inventory.seats import FREE, padded_statuses

#: The cost of a single seat that is left over, in seats' widths.
SINGLE_WIDTHS = 3


class SeatCountMismatch(Exception):
    """The number of statuses differs from the number of seats of the plan: a bug, never the client's fault."""


class FreeSeats:
    """The free seats of one event at one moment, from which several groups are chosen in turn. Does no I/O."""

    def __init__(self, rows: SeatRows, statuses: str, prices: Collection[str]) -> None:
        """`statuses` has one character per number, `a` if it is that of a free seat.

        `prices` are the categories that have a price.

        Raises:
            SeatCountMismatch: there are more statuses than seats, or fewer.
        """
        if len(statuses) != len(rows.labels):
            raise SeatCountMismatch(f"{len(statuses)} statuses for {len(rows.labels)} seats")
        self._rows = rows
        self._free = rows.free_bits(statuses) & _union(rows.category_bits.get(category, 0) for category in prices)
        self._single_cost = round(SINGLE_WIDTHS * rows.seat_width * COST_SCALE)

    def choose(
        self, quantity: int, category: str | None = None, section: str | None = None, beside: Sequence[int] = ()
    ) -> list[int]:
        """The numbers of the best seats for a group, in the order of the plan; they stay free until `take`.

        `beside` are the numbers of the seats that the buyer has picked, which are not chosen.

        Raises:
            SoldOut: fewer than `quantity` are free, with how many under `available`.
        """
        picked = bits_of(map(self._rows.bit_of, beside))
        free = _without(self._free, picked)
        wanted = self._limit(free, category, section)
        if (available := wanted.bit_count()) < quantity:
            raise SoldOut(field="best_available", available=available)
        if beside and (adjacent := self._extend(free, wanted, picked, quantity)):
            return self._rows.in_order(map(self._rows.number_at, adjacent))
        numbers = list[int]()
        while len(numbers) < quantity:
            length, starts = _longest(wanted, quantity - len(numbers))
            start = self._nearest(free, starts, length, [*beside, *numbers])
            if start is None:
                start = self._best(free, starts, length)
            part = ((1 << length) - 1) << start
            free, wanted = free ^ part, wanted ^ part
            numbers += map(self._rows.number_at, range(start, start + length))
        return self._rows.in_order(numbers)

    def take(self, numbers: Iterable[int]) -> None:
        """Mark these seats as taken; some of them may be taken already."""
        self._free = _without(self._free, _union(1 << self._rows.bit_of(number) for number in numbers))

    def are_free(self, numbers: Iterable[int]) -> bool:
        """Whether all of these seats are free."""
        return all(self._free >> self._rows.bit_of(number) & 1 for number in numbers)

    def label(self, number: int) -> str:
        return self._rows.labels[number]

    def category(self, number: int) -> str:
        return self._rows.categories[number]

    def number_of(self, label: str) -> int | None:
        """None for a label that the plan does not have."""
        return self._rows.numbers.get(label)

    def _limit(self, free: int, category: str | None, section: str | None) -> int:
        if category is not None:
            free &= self._rows.category_bits.get(category, 0)
        if section is not None:
            free &= self._rows.section_bits.get(section, 0)
        return free

    def _best(self, free: int, starts: int, length: int) -> int:
        """The best of these runs of free seats: of those that leave no, one and two single seats, the cheapest."""
        ranked = self._rows.ranked(length)
        before, after = _singles(free, length)
        by_singles = (_without(starts, before | after), starts & (before ^ after), starts & before & after)
        chosen, cost = 0, inf
        for singles, runs in enumerate(by_singles):
            extra = singles * length * self._single_cost
            start = ranked.best(runs, cost - extra) if runs else None
            if start is not None and (start_cost := ranked.cost(start) + extra) < cost:
                chosen, cost = start, start_cost
        return chosen

    def _nearest(self, free: int, starts: int, length: int, numbers: Sequence[int]) -> int | None:
        """The run nearest to these seats, of those in the same sections; None if there is none, or no seat."""
        sections = {self._rows.section_at(self._rows.bit_of(number)) for number in numbers}
        near = starts & _union(self._rows.section_bits[section] for section in sections)
        if not near:
            return None
        x, y = self._rows.middle(numbers)
        before, after = map(flags_of, _singles(free, length))

        def cost(start: int) -> tuple[float, int]:
            right, down = self._rows.middle([self._rows.number_at(start), self._rows.number_at(start + length - 1)])
            singles = is_set(before, start) + is_set(after, start)
            away = COST_SCALE * hypot(right - x, down - y)
            return round(away) + singles * self._single_cost, start

        return min(positions_of(near), key=cost)

    def _extend(self, free: int, wanted: int, picked: int, quantity: int) -> list[int]:
        """The best seats that make one run with picked ones, by bit; empty if there is no room beside any of them."""
        is_free, is_wanted, is_picked = flags_of(free), flags_of(wanted), flags_of(picked)

        def go(bit: int, step: int) -> tuple[list[int], list[int]]:
            """The wanted seats on one side of a picked one, and after how many the next seat would be left single."""
            found, ends = list[int](), list[int]()
            while True:
                while is_set(is_picked, bit):
                    bit += step
                ends.append(is_set(is_free, bit) and not is_set(is_free, bit + step))
                if len(found) == quantity or not is_set(is_wanted, bit):
                    return found, ends
                found.append(bit)
                bit += step

        def groups() -> Iterable[tuple[int, list[int]]]:
            for bit in positions_of(picked & ~(picked << 1)):
                (left, left_singles), (right, right_singles) = go(bit, -1), go(bit, 1)
                for size in range(max(0, quantity - len(right)), min(quantity, len(left)) + 1):
                    group = sorted(left[:size] + right[: quantity - size])
                    singles = left_singles[size] + right_singles[quantity - size]
                    yield sum(map(self._rows.cost_at, group)) + singles * quantity * self._single_cost, group

        return min(groups(), default=(0, []))[1]


# One statement for venue, version and statuses, so that no change of the plan can come between them. Ordered by the
# primary key, so that the statuses are concatenated as they are read. Events without seats have no row.
_FREE_OR_STATUS = f"case when {FREE} then 'a' else s.status end"
FREE_STATUSES = f"""
select e.id, e.venue_id, e.plan_version,
       coalesce((select case when last = count - 1 then statuses
                        else {padded_statuses(_FREE_OR_STATUS, "last", "e.organization_id", "e.id")} end
                   from (select string_agg({_FREE_OR_STATUS}, '' order by s.number) as statuses,
                                max(s.number) as last, count(*) as count
                           from event_seats s where s.organization_id = e.organization_id and s.event_id = e.id) map),
                ''),
       array(select c.category from category_prices c
              where c.organization_id = e.organization_id and c.event_id = e.id)
  from events e
 where e.organization_id = %s and e.id = any(%s::uuid[]) and e.plan_version is not null"""  # noqa: S608 (only constants)


async def read_free_seats(
    run_query: RunQuery, organization_id: UUID, quantities: Mapping[UUID, Iterable[int]]
) -> dict[UUID, FreeSeats]:
    """The free seats by event; an event without seats is missing. Locks nothing.

    `quantities` are the sizes of the groups that will be chosen, by event.
    """
    free = {}
    for event_id, venue_id, plan_version, statuses, prices in await run_query(
        FREE_STATUSES, organization_id, list(quantities)
    ):
        rows = await rows_of_plan(run_query, organization_id, venue_id, plan_version, quantities[event_id])
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


def _singles(free: int, length: int) -> tuple[int, int]:
    """The starts of runs that leave a single seat before them, and of those that leave one after them."""
    return _without(free << 1, free << 2), _without(free >> length, free >> length + 1)


def _without(bits: int, others: int) -> int:
    return bits ^ (bits & others)


def _union(parts: Iterable[int]) -> int:
    union = 0
    for part in parts:
        union |= part
    return union
