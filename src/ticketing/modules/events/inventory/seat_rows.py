"""The rows of a plan as bitmaps, so that a few integer operations examine all seats at once.

A version of a plan never changes, so its rows are cached per process. A stadium has 100,000 seats: Postgres aggregates
them into one array per row of seats, and the only objects per seat are its label and its number.
"""

import asyncio
from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, repeat, starmap
from typing import Any, NamedTuple
from uuid import UUID
from weakref import WeakValueDictionary

#: Cache limits per process: plans, and seats of all plans (25 arenas; a seat takes about 200 bytes).
PLANS_MAX, SEATS_MAX = 256, 400_000

#: Executes a statement, with a value for each `%s`, and returns all rows.
RunQuery = Callable[..., Awaitable[Sequence[Sequence[Any]]]]
PlanKey = tuple[UUID, UUID, int]
#: A name, and the range of its bits.
Span = tuple[str, range]


_FLAGS = bytes(ord("1" if status == ord("a") else "0") for status in range(256))

# Two rows of the same name are told apart by gaps in the numbers: within a run of consecutive numbers, the number minus
# its rank is constant.
PLAN_ROWS = """
select min(number), section, array_agg(label order by number), array_agg(category order by number)
  from (select number, section, "row", label, category,
               number - row_number() over (partition by section, "row" order by number) as run
          from plan_seats
         where organization_id = %s and venue_id = %s and plan_version = %s) s
 group by section, "row", run
 order by min(number)"""


class SeatNumbersNotConsecutive(Exception):
    """The seats of a plan are not numbered consecutively from 0: a bug, never the client's fault."""


class PlanRow(NamedTuple):
    """A row of seats, as `PLAN_ROWS` returns it, in order of number; `start` is the first number."""

    start: int
    section: str
    labels: Sequence[str]
    categories: Sequence[str]


@dataclass(frozen=True, slots=True)
class SeatRows:
    """Which seats of a plan are side by side; built by `of`.

    A row is a run of consecutive numbers with one row name in one section. Each seat has a bit, and between two rows
    there is one unused bit: adjacent bits are adjacent seats.
    """

    #: One per seat, at the index of its number.
    labels: tuple[str, ...]
    categories: tuple[str, ...]
    #: By label.
    numbers: Mapping[str, int]
    category_bits: Mapping[str, int]
    section_bits: Mapping[str, int]
    _slices: tuple[slice, ...]
    _first_numbers: tuple[int, ...]
    _first_bits: tuple[int, ...]

    @classmethod
    def of(cls, rows: Iterable[PlanRow]) -> "SeatRows":
        """Build from the rows of a whole plan, in order of their numbers.

        Raises:
            SeatNumbersNotConsecutive: a row does not begin where the one before it ends.
        """
        listed = list(rows)
        slices = tuple(_slices(listed))
        first_bits = tuple(row.start + index for index, row in enumerate(listed))
        labels = tuple(chain.from_iterable(row.labels for row in listed))
        categories = list(chain.from_iterable(map(_category_runs, first_bits, listed)))
        return cls(
            labels,
            tuple(chain.from_iterable(repeat(category, len(span)) for category, span in categories)),
            {label: number for number, label in enumerate(labels)},
            _bits_by_name(categories),
            _bits_by_name(map(_whole, first_bits, listed)),
            slices,
            tuple(row.start for row in listed),
            first_bits,
        )

    def free_bits(self, statuses: str) -> int:
        """The seats whose status, at the index of their number, is `a`."""
        flags = "-".join(map(statuses.__getitem__, self._slices)).encode().translate(_FLAGS)
        return int(flags[::-1], 2) if flags else 0

    def bit_of(self, number: int) -> int:
        """The bit of a seat number."""
        return number + bisect_right(self._first_numbers, number) - 1

    def number_at(self, bit: int) -> int:
        """The seat number of a bit."""
        return bit - bisect_right(self._first_bits, bit) + 1


_cached: OrderedDict[PlanKey, SeatRows] = OrderedDict()
_locks: WeakValueDictionary[PlanKey, asyncio.Lock] = WeakValueDictionary()


async def rows_of_plan(run_query: RunQuery, organization_id: UUID, venue_id: UUID, plan_version: int) -> SeatRows:
    """The rows of a plan, cached. The transaction of `run_query` must be able to see the organization's plans.

    Raises:
        SeatNumbersNotConsecutive: its numbers do not follow each other.
    """
    key = (organization_id, venue_id, plan_version)
    async with _locks.setdefault(key, asyncio.Lock()):
        if key not in _cached:
            # 0.1 s for a stadium, off the event loop.
            rows = await asyncio.to_thread(SeatRows.of, starmap(PlanRow, await run_query(PLAN_ROWS, *key)))
            # A plan without seats is not cached: row-level security may hide the seats from this transaction only.
            if not rows.labels:
                return rows
            _cache(key, rows)
        _cached.move_to_end(key)
        return _cached[key]


def _cache(key: PlanKey, rows: SeatRows) -> None:
    _cached[key] = rows
    while len(_cached) > 1 and (
        len(_cached) > PLANS_MAX or sum(len(kept.labels) for kept in _cached.values()) > SEATS_MAX
    ):
        _cached.popitem(last=False)


def _slices(rows: Iterable[PlanRow]) -> Iterator[slice]:
    seats = 0
    for row in rows:
        if row.start != seats:
            raise SeatNumbersNotConsecutive(f"seat {row.start} comes after {seats} seats")
        seats += len(row.labels)
        yield slice(row.start, seats)


def _whole(first_bit: int, row: PlanRow) -> Span:
    return row.section, range(first_bit, first_bit + len(row.labels))


def _category_runs(first_bit: int, row: PlanRow) -> Iterator[Span]:
    """The runs of seats of one category in a row."""
    for category, same in groupby(row.categories):
        stop = first_bit + sum(1 for _ in same)
        yield category, range(first_bit, stop)
        first_bit = stop


def _bits_by_name(spans: Iterable[Span]) -> dict[str, int]:
    by_name = defaultdict[str, list[range]](list)
    for name, span in spans:
        by_name[name].append(span)
    return {name: _bits(its) for name, its in by_name.items()}


def _bits(spans: Sequence[range]) -> int:
    """The integer with these bits set; the spans are in order."""
    start = spans[0].start
    flags = bytearray(b"0") * (spans[-1].stop - start)
    for span in spans:
        flags[span.start - start : span.stop - start] = b"1" * len(span)
    # The lowest bit is the last digit.
    return int(flags[::-1], 2) << start
