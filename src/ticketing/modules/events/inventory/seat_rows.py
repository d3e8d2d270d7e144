"""The rows of a plan as bitmaps, so that a few integer operations examine all seats at once.

A version of a plan never changes, so its rows are cached per process. A stadium has 100,000 seats: Postgres aggregates
them into one array per row of seats, and the only objects per seat are its label and its number.
"""

import asyncio
from array import array
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise, starmap
from math import hypot
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from ticketing.modules.events.inventory.ranked_runs import RankedRuns, bits_of
from ticketing.modules.events.inventory.row_runs import Row, split_rows
from ticketing.modules.events.inventory.seat_quality import Point, focal_point, seat_costs, typical_gap

#: Cache limits per process: plans, and seats of all plans (25 arenas; a seat takes about 300 bytes).
PLANS_MAX, SEATS_MAX = 256, 400_000
#: In units of the plan, for plans without positions: the pages draw them like this.
SEAT_PITCH, ROW_PITCH = 24.0, 26.0
#: Lengths of runs that are ranked at a time, per plan (about 25 bytes per seat each).
LENGTHS_MAX = 6

#: Executes a statement, with a value for each `%s`, and returns all rows.
RunQuery = Callable[..., Awaitable[Sequence[Sequence[Any]]]]
PlanKey = tuple[UUID, UUID, int]
Value = TypeVar("Value")

_FLAGS = bytes(ord("1" if status == ord("a") else "0") for status in range(256))

# A place is an index in the order of the plan. Two rows of the same name are told apart by gaps in the places: within a
# run of consecutive places, the place minus its rank is constant.
PLAN_ROWS = """
select min(place), section, array_agg(label order by place), array_agg(category order by place),
       array_agg(x order by place), array_agg(y order by place), array_agg(number order by place)
  from (select number, coalesce(position, number) as place, section, "row", label, category, x, y,
               coalesce(position, number)
               - row_number() over (partition by section, "row" order by coalesce(position, number)) as run
          from plan_seats
         where organization_id = %s and venue_id = %s and plan_version = %s) s
 group by section, "row", run
 order by min(place)"""
_LAYOUT = "select layout from seating_plans where organization_id = %s and venue_id = %s and version = %s"


class SeatNumbersNotConsecutive(Exception):
    """The places of a plan's seats are not consecutive from 0: a bug, never the client's fault."""


class PlanRow(NamedTuple):
    """A row of seats, as `PLAN_ROWS` returns it, in order of place; `start` is the first place.

    A later version of a plan has its numbers in another order, with gaps (see `venues.PlanSeat`).
    """

    start: int
    section: str
    labels: Sequence[str]
    categories: Sequence[str]
    xs: Sequence[float | None]
    ys: Sequence[float | None]
    #: None where they are the places.
    seat_numbers: Sequence[int] | None = None

    @property
    def numbers(self) -> Sequence[int]:
        return self.seat_numbers or range(self.start, self.start + len(self.labels))


class SeatRows:
    """Which seats of a plan are side by side, where they are, and how good they are.

    A run is a series of seats of one row without an aisle. Each seat has a bit, and between two runs there is one
    unused bit: adjacent bits are adjacent seats.
    """

    def __init__(self, rows: Iterable[PlanRow], layout: Mapping[str, Any] = MappingProxyType({})) -> None:
        """`rows` are all rows of the plan, in order of their places.

        Raises:
            SeatNumbersNotConsecutive: a row does not begin where the one before it ends.
        """
        listed = list(rows)
        _check_places(listed)
        placed = list(chain.from_iterable(row.numbers for row in listed))
        count = max(placed, default=-1) + 1
        #: One per seat, at the index of its number; empty for a number that this version of the plan does not have.
        self.labels = _scatter(placed, chain.from_iterable(row.labels for row in listed), [""] * count)
        self.categories = _scatter(placed, chain.from_iterable(row.categories for row in listed), [""] * count)
        self.numbers = {label: number for number, label in enumerate(self.labels) if label}
        self._places = None if placed == list(range(count)) else {number: place for place, number in enumerate(placed)}
        xs, ys = _positions(listed)
        #: In units of the plan, by number.
        self.xs, self.ys = (array("d", _scatter(placed, axis, [0.0] * count)) for axis in (xs, ys))
        self._runs = list(split_rows([Row(row.section, row.numbers) for row in listed], self.xs, self.ys))
        order = [number for run in self._runs for number in run.numbers]
        self._order = None if order == list(range(len(order))) else order
        self._numbers = array("i", chain.from_iterable((*run.numbers, -1) for run in self._runs))
        self._bits = _inverse(self._numbers, count)
        self._spans = list(_spans(self._runs))
        self._slices = [slice(span.start - index, span.stop - index) for index, span in enumerate(self._spans)]
        self.category_bits = _bits_by_name((self.categories[number], self._bits[number]) for number in placed)
        self.section_bits = _bits_by_name(
            (run.section, bit) for run, span in zip(self._runs, self._spans, strict=True) for bit in span
        )
        #: The usual distance between two seats of a row.
        self.seat_width = typical_gap(
            typical_gap(hypot(self.xs[b] - self.xs[a], self.ys[b] - self.ys[a]) for a, b in pairwise(run.numbers))
            for run in self._runs
            if len(run.numbers) > 1
        )
        #: The cost of all lower bits, for each bit and the end.
        costs = seat_costs(xs, ys, focal_point(layout, xs, ys, len(listed[0].labels))) if listed else ()
        by_number = _scatter(placed, costs, [0] * count)
        self._sums = array("q", accumulate((by_number[n] if n >= 0 else 0 for n in self._numbers), initial=0))
        self._ranked: dict[int, RankedRuns] = {}

    def free_bits(self, statuses: str) -> int:
        """The seats whose status, at the index of their number, is `a`."""
        if self._order is not None:
            statuses = "".join(map(statuses.__getitem__, self._order))
        flags = "-".join(map(statuses.__getitem__, self._slices)).encode().translate(_FLAGS)
        return int(flags[::-1], 2) if flags else 0

    def bit_of(self, number: int) -> int:
        """The bit of a seat number."""
        return self._bits[number]

    def number_at(self, bit: int) -> int:
        """The seat number of a bit."""
        return self._numbers[bit]

    def in_order(self, numbers: Iterable[int]) -> list[int]:
        """The seat numbers in the order of the plan."""
        return sorted(numbers, key=None if self._places is None else self._places.__getitem__)

    def section_at(self, bit: int) -> str:
        """The section of the seat with this bit."""
        return self._runs[bisect_right(self._spans, bit, key=lambda span: span.start) - 1].section

    def cost_at(self, bit: int) -> int:
        """How far the seat is from being the best: see `seat_costs`."""
        return self._sums[bit + 1] - self._sums[bit]

    def middle(self, numbers: Sequence[int]) -> Point:
        """The middle of some seats."""
        count = len(numbers)
        return Point(sum(self.xs[n] for n in numbers) / count, sum(self.ys[n] for n in numbers) / count)

    @property
    def ranked_lengths(self) -> frozenset[int]:
        """The lengths for which `ranked` is quick."""
        return frozenset(self._ranked)

    def ranked(self, length: int) -> RankedRuns:
        """All runs of a length. The first call for a length sorts all seats: 0.1 s for a stadium."""
        if (ranked := self._ranked.get(length)) is None:
            ranked = RankedRuns(self._spans, self._sums, length)
            while len(self._ranked) >= LENGTHS_MAX:
                self._ranked.pop(next(iter(self._ranked)), None)
            self._ranked[length] = ranked
        return ranked


_cached: OrderedDict[PlanKey, SeatRows] = OrderedDict()
_locks: WeakValueDictionary[PlanKey, asyncio.Lock] = WeakValueDictionary()


async def rows_of_plan(
    run_query: RunQuery, organization_id: UUID, venue_id: UUID, plan_version: int, lengths: Iterable[int] = ()
) -> SeatRows:
    """The rows of a plan, cached. The transaction of `run_query` must be able to see the organization's plans.

    `lengths` of runs will be looked for: they are ranked off the event loop, as far as there is room.

    Raises:
        SeatNumbersNotConsecutive: its numbers do not follow each other.
    """
    key = (organization_id, venue_id, plan_version)
    async with _locks.setdefault(key, asyncio.Lock()):
        if key not in _cached:
            layouts = await run_query(_LAYOUT, *key)
            found = starmap(PlanRow, await run_query(PLAN_ROWS, *key))
            # 0.4 s for a stadium, off the event loop.
            rows = await asyncio.to_thread(SeatRows, found, *chain.from_iterable(layouts))
            # A plan without seats is not cached: row-level security may hide the seats from this transaction only.
            if not rows.labels:
                return rows
            _cache(key, rows)
        _cached.move_to_end(key)
        rows = _cached[key]
        for length in sorted(set(lengths) - rows.ranked_lengths)[:LENGTHS_MAX]:
            await asyncio.to_thread(rows.ranked, length)
        return rows


def _cache(key: PlanKey, rows: SeatRows) -> None:
    _cached[key] = rows
    while len(_cached) > 1 and (
        len(_cached) > PLANS_MAX or sum(len(kept.labels) for kept in _cached.values()) > SEATS_MAX
    ):
        _cached.popitem(last=False)


def _scatter(numbers: Iterable[int], values: Iterable[Value], empty: list[Value]) -> tuple[Value, ...]:
    """The values at the index of their number, and `empty` elsewhere."""
    for number, value in zip(numbers, values, strict=True):
        empty[number] = value
    return tuple(empty)


def _check_places(rows: Iterable[PlanRow]) -> None:
    seats = 0
    for row in rows:
        if row.start != seats:
            raise SeatNumbersNotConsecutive(f"seat {row.start} comes after {seats} seats")
        seats += len(row.labels)


def _positions(rows: Sequence[PlanRow]) -> "tuple[array[float], array[float]]":
    xs, ys = array("d"), array("d")
    for index, row in enumerate(rows):
        left = -(len(row.labels) - 1) / 2
        xs.extend((left + place) * SEAT_PITCH if x is None else x for place, x in enumerate(row.xs))
        ys.extend(index * ROW_PITCH if y is None else y for y in row.ys)
    return xs, ys


def _spans(runs: Iterable[Row]) -> Iterator[range]:
    """The bits of each run."""
    first = 0
    for run in runs:
        yield range(first, first + len(run.numbers))
        first += len(run.numbers) + 1


def _inverse(numbers: Iterable[int], seats: int) -> "array[int]":
    bits = array("i", bytes(array("i").itemsize * seats))
    for bit, number in enumerate(numbers):
        if number >= 0:
            bits[number] = bit
    return bits


def _bits_by_name(bits: Iterable[tuple[str, int]]) -> dict[str, int]:
    by_name = defaultdict[str, list[int]](list)
    for name, bit in bits:
        by_name[name].append(bit)
    return {name: bits_of(its) for name, its in by_name.items()}
