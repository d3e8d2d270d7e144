"""Choosing seats for somebody who only says how many: side by side, no lonely seat left behind, and best first.

The rule, in the order in which it decides:

1. *Side by side*: consecutive numbers in one row of one section. When no free stretch is long enough, the group is
   split into as few parts as can be: the longest stretch first, until the rest fits in one.
2. *Nobody is left alone*: a lonely seat is a free one, beside those that are chosen, whose other neighbour is not free
   (taken, or the end of the row). Of all places for a part, those that make the fewest lonely seats are looked at:
   a row farther back without one comes before a better row with one.
3. *Best first*: of these, the one with the lowest number, for the plan's order is the order of quality.

Free is a seat that is available at this instant, a run-out hold included, and whose category has a price. A wish for a
category or a section narrows what may be chosen, and not what counts as free: a neighbour of another category is not
alone with a seat of this one.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from ticketing.modules.events.inventory.general_admission import SoldOut
from ticketing.modules.events.inventory.seat_rows import Read, SeatRows, rows_of_plan
from ticketing.modules.events.inventory.seats import FREE


class LettersOfAnotherPlan(Exception):
    """There is not one letter for each seat of the plan: a bug, never the client's fault."""


class FreeSeats:
    """The free seats of one event at one moment, for several groups one after the other. It touches no database."""

    def __init__(self, rows: SeatRows, letters: str, prices: Collection[str]) -> None:
        """`letters` has one per seat, at the index of its number, `a` for a free one; `prices` are priced categories.

        Raises:
            LettersOfAnotherPlan: there are more letters than seats, or fewer.
        """
        if len(letters) != len(rows.labels):
            raise LettersOfAnotherPlan(f"{len(letters)} letters for {len(rows.labels)} seats")
        self._rows = rows
        self._free = rows.free_bits(letters) & _union(rows.category_bits.get(category, 0) for category in prices)

    def choose(self, quantity: int, category: str | None = None, section: str | None = None) -> list[int]:
        """The numbers of the best seats for a group of one or more, in order; they stay free until `take`.

        Raises:
            SoldOut: fewer than `quantity` are free, with how many under `available`.
        """
        wanted = self._wanted(category, section)
        if (available := wanted.bit_count()) < quantity:
            raise SoldOut(field="best_available", available=available)
        free, numbers = self._free, list[int]()
        while len(numbers) < quantity:
            length, starts = _longest(wanted, quantity - len(numbers))
            start = _least_lonely(free, starts, length)
            part = ((1 << length) - 1) << start
            free, wanted = free ^ part, wanted ^ part
            first = self._rows.number_at(start)
            numbers += range(first, first + length)
        return sorted(numbers)

    def take(self, numbers: Iterable[int]) -> None:
        """From here on these seats are free for nobody; some of them may not have been."""
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


async def read_free_seats(read: Read, organization_id: UUID, event_ids: Sequence[UUID]) -> dict[UUID, FreeSeats]:
    """By event, at this moment; one without seats is missing. Nothing is locked or held yet."""
    free = {}
    for event_id, venue_id, plan_version, letters, prices in await read(FREE_LETTERS, organization_id, list(event_ids)):
        rows = await rows_of_plan(read, organization_id, venue_id, plan_version)
        free[event_id] = FreeSeats(rows, letters, prices)
    return free


# In what follows a bit of `starts` is the first seat of a stretch; the seat beside it is one bit up.


def _longest(wanted: int, most: int) -> tuple[int, int]:
    """How long the longest stretch of `wanted` is, at most `most`, and where all of that length begin."""
    length, starts = 1, wanted
    halves = []
    while 2 * length <= most and (doubled := starts & starts >> length):
        halves.append((length, starts))
        length, starts = 2 * length, doubled
    for more, beginnings in reversed(halves):
        if length + more <= most and (longer := starts & beginnings >> length):
            length, starts = length + more, longer
    return length, starts


def _least_lonely(free: int, starts: int, length: int) -> int:
    """The first of these stretches, of those that leave the fewest lonely seats beside them."""
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


# Venue, version and letters come from one statement: whoever gives the event another plan can't come between them.
# Ordered by the primary key, so the letters are joined as they are read. Events without seats have no row.
FREE_LETTERS = f"""
select e.id, e.venue_id, e.plan_version,
       coalesce((select string_agg(case when {FREE} then 'a' else s.status end, '' order by s.number)
                   from event_seats s where s.organization_id = e.organization_id and s.event_id = e.id), ''),
       array(select c.category from category_prices c
              where c.organization_id = e.organization_id and c.event_id = e.id)
  from events e
 where e.organization_id = %s and e.id = any(%s::uuid[]) and e.plan_version is not null"""  # noqa: S608 (only constants)
