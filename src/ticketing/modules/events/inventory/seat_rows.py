"""The rows of a plan as bits, so that a chooser looks at all of them at once with a few operations on whole numbers.

A version of a plan never changes, so its rows are read once and kept. A stadium has 100,000 seats: Postgres puts them
together into arrays, one row of seats each, and no object is made for a seat but its label and its number.
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

#: What a process keeps: plans, and the seats of them all (25 arenas; a seat takes about 200 bytes).
PLANS_MAX, SEATS_MAX = 256, 400_000

#: Executes a statement, with a value for each `%s`, and answers all of its rows.
Read = Callable[..., Awaitable[Sequence[Sequence[Any]]]]
PlanKey = tuple[UUID, UUID, int]
#: Something's name, and where its bits are.
Span = tuple[str, range]


class PlanHasHoles(Exception):
    """The seats of a plan are not numbered one after the other from 0: a bug, never the client's fault."""


class PlanRow(NamedTuple):
    """A row of seats, as `PLAN_ROWS` answers it: in the order of the numbers, of which `start` is the first."""

    start: int
    section: str
    labels: Sequence[str]
    categories: Sequence[str]


@dataclass(frozen=True, slots=True)
class SeatRows:
    """Which seats of a plan stand side by side; made by `of`.

    A row is a stretch of consecutive numbers with one row name in one section. Each seat has a bit, and between two
    rows there is a bit that no seat has: what is side by side in the number is side by side in the house.
    """

    #: One a seat, at the index of its number.
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
        """Arrange the rows of a whole plan, in the order of their numbers.

        Raises:
            PlanHasHoles: a row does not begin where the one before it ends.
        """
        listed = list(rows)
        slices = tuple(_slices(listed))
        first_bits = tuple(row.start + index for index, row in enumerate(listed))
        labels = tuple(chain.from_iterable(row.labels for row in listed))
        categories = list(chain.from_iterable(map(_stretches, first_bits, listed)))
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

    def free_bits(self, letters: str) -> int:
        """The seats whose letter, at the index of their number, is `a`."""
        flags = "-".join(map(letters.__getitem__, self._slices)).encode().translate(_FLAGS)
        return int(flags[::-1], 2) if flags else 0

    def bit_of(self, number: int) -> int:
        """Where a seat's bit is."""
        return number + bisect_right(self._first_numbers, number) - 1

    def number_at(self, bit: int) -> int:
        """Whose bit this is."""
        return bit - bisect_right(self._first_bits, bit) + 1


_kept: OrderedDict[PlanKey, SeatRows] = OrderedDict()
_turns: WeakValueDictionary[PlanKey, asyncio.Lock] = WeakValueDictionary()


async def rows_of_plan(read: Read, organization_id: UUID, venue_id: UUID, plan_version: int) -> SeatRows:
    """The rows of a plan, from memory or read once. The transaction behind `read` may see the organization's plans.

    Raises:
        PlanHasHoles: its numbers do not follow each other.
    """
    key = (organization_id, venue_id, plan_version)
    async with _turns.setdefault(key, asyncio.Lock()):
        if key not in _kept:
            # A tenth of a second for a stadium, which others need not wait for.
            rows = await asyncio.to_thread(SeatRows.of, starmap(PlanRow, await read(PLAN_ROWS, *key)))
            # Nothing is kept of a plan without seats: row-level security may hide them, from this reader only.
            if not rows.labels:
                return rows
            _keep(key, rows)
        _kept.move_to_end(key)
        return _kept[key]


def _keep(key: PlanKey, rows: SeatRows) -> None:
    _kept[key] = rows
    while len(_kept) > 1 and (len(_kept) > PLANS_MAX or sum(len(kept.labels) for kept in _kept.values()) > SEATS_MAX):
        _kept.popitem(last=False)


def _slices(rows: Iterable[PlanRow]) -> Iterator[slice]:
    seats = 0
    for row in rows:
        if row.start != seats:
            raise PlanHasHoles(f"seat {row.start} comes after {seats} seats")
        seats += len(row.labels)
        yield slice(row.start, seats)


def _whole(first_bit: int, row: PlanRow) -> Span:
    return row.section, range(first_bit, first_bit + len(row.labels))


def _stretches(first_bit: int, row: PlanRow) -> Iterator[Span]:
    """Where a row has seats of one category side by side."""
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
    """The number in which these bits are set; the spans are in order."""
    start = spans[0].start
    flags = bytearray(b"0") * (spans[-1].stop - start)
    for span in spans:
        flags[span.start - start : span.stop - start] = b"1" * len(span)
    # The lowest bit is the last digit.
    return int(flags[::-1], 2) << start


_FLAGS = bytes(ord("1" if letter == ord("a") else "0") for letter in range(256))

# A row is told from another of the same name by the numbers between them: in a stretch of consecutive numbers the
# number minus its rank in the row stays the same.
PLAN_ROWS = """
select min(number), section, array_agg(label order by number), array_agg(category order by number)
  from (select number, section, "row", label, category,
               number - row_number() over (partition by section, "row" order by number) as stretch
          from plan_seats
         where organization_id = %s and venue_id = %s and plan_version = %s) s
 group by section, "row", stretch
 order by min(number)"""
