"""The choice of best seats, compared with a model that examines every position of every row, and drawn examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from math import hypot
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketing.modules import events
from ticketing.modules.events.inventory.best_seats import SINGLE_WIDTHS, FreeSeats, SeatCountMismatch
from ticketing.modules.events.inventory.seat_quality import focal_point, seat_costs
from ticketing.modules.events.inventory.seat_rows import PlanRow, SeatNumbersNotConsecutive, SeatRows

#: The model is slow, and slower on a busy machine.
without_deadline = settings(deadline=None)
#: In thousandths of a unit; in a hall, a seat is 10 units wide.
SINGLE_COST = SINGLE_WIDTHS * 10 * 1000


@dataclass(frozen=True)
class Hall:
    """Rows as drawings: lower case is a free seat of category A or B, upper case a taken one, and a space an aisle."""

    drawings: tuple[str, ...]
    sections: tuple[str, ...]
    prices: frozenset[str] = frozenset("AB")
    #: In units of ten: the first seat of the first row is at (0, 0).
    focal: tuple[float, float] | None = None

    @property
    def seats(self) -> str:
        return "".join(self.drawings).replace(" ", "")

    @property
    def rows(self) -> list[range]:
        lengths = [len(drawing.replace(" ", "")) for drawing in self.drawings]
        return [range(sum(lengths[:index]), sum(lengths[: index + 1])) for index in range(len(lengths))]

    @property
    def positions(self) -> list[tuple[float, float]]:
        """By number."""
        rows = enumerate(self.drawings)
        return [(x * 10.0, y * 10.0) for y, drawing in rows for x, seat in enumerate(drawing) if seat != " "]

    @property
    def runs(self) -> list[range]:
        """The seats between aisles, by number."""
        cut = [(row.start, drawing.split(" ")) for row, drawing in zip(self.rows, self.drawings, strict=True)]
        spans = [(start + sum(map(len, parts[:i])), len(part)) for start, parts in cut for i, part in enumerate(parts)]
        return [range(start, start + length) for start, length in spans if length]

    @cached_property
    def seat_rows(self) -> SeatRows:
        rows = [
            PlanRow(
                row.start, section, [str(n) for n in row], [self.seats[n].upper() for n in row], *self._columns(row)
            )
            for row, section in zip(self.rows, self.sections, strict=True)
        ]
        return SeatRows(rows, self.layout)

    @property
    def layout(self) -> dict[str, Any]:
        return {"focal_point": dict(zip("xy", self.focal, strict=True))} if self.focal else {}

    def _columns(self, row: range) -> tuple[list[float], list[float]]:
        return [self.positions[n][0] for n in row], [self.positions[n][1] for n in row]

    def free_seats(self) -> FreeSeats:
        statuses = "".join("a" if seat.islower() else "s" for seat in self.seats)
        return FreeSeats(self.seat_rows, statuses, self.prices)

    def free(self) -> set[int]:
        return {n for n, seat in enumerate(self.seats) if seat.islower() and seat.upper() in self.prices}

    def wanted(self, category: str | None, section: str | None) -> set[int]:
        places = zip(self.rows, self.sections, strict=True)
        near = {n for row, its in places if section in {None, its} for n in row}
        return {n for n in near if category in {None, self.seats[n].upper()}}

    def section_of(self, number: int) -> str:
        return next(section for row, section in zip(self.rows, self.sections, strict=True) if number in row)


class Model:
    """The criteria, position by position."""

    def __init__(self, hall: Hall) -> None:
        self.hall, self.runs, self.positions = hall, hall.runs, hall.positions
        xs, ys = zip(*self.positions, strict=True)
        self.costs = seat_costs(xs, ys, focal_point(hall.layout, xs, ys, len(hall.rows[0])))
        self.windows = [range(i, j) for run in self.runs for i in run for j in range(i + 1, run.stop + 1)]

    def choose(self, free: set[int], wanted: set[int], quantity: int, picked: set[int]) -> list[int]:
        if beside := [window for window in self.windows if self._fits_beside(window, wanted, quantity, picked)]:
            return min(
                (self._cost(set(window) - picked, set(window) | picked, free), sorted(set(window) - picked))
                for window in beside
            )[1]
        return self._choose_parts(free, wanted, quantity, sorted(picked))

    def _choose_parts(self, free: set[int], wanted: set[int], quantity: int, seated: list[int]) -> list[int]:
        if quantity == 0:
            return []
        possible = [window for window in self.windows if len(window) <= quantity and set(window) <= wanted]
        longest = [window for window in possible if len(window) == max(map(len, possible))]
        sections = set(map(self.hall.section_of, seated))
        near = [window for window in longest if self.hall.section_of(window.start) in sections]
        part = (
            min(near, key=lambda window: (self._distance(window, seated, free), window.start))
            if near
            else min(longest, key=lambda window: self._rank(set(window), free))
        )
        rest = self._choose_parts(free - set(part), wanted - set(part), quantity - len(part), [*seated, *part])
        return sorted([*part, *rest])

    def _fits_beside(self, window: range, wanted: set[int], quantity: int, picked: set[int]) -> bool:
        chosen = set(window) - picked
        return len(chosen) == quantity and chosen <= wanted and chosen != set(window)

    def _rank(self, chosen: set[int], free: set[int]) -> tuple[int, int, int]:
        return self._cost(chosen, chosen, free), self._singles(chosen, chosen, free), min(chosen)

    def _cost(self, chosen: set[int], mine: set[int], free: set[int]) -> int:
        return sum(self.costs[n] for n in chosen) + self._singles(chosen, mine, free) * len(chosen) * SINGLE_COST

    def _distance(self, window: range, seated: list[int], free: set[int]) -> int:
        x, y = self._middle(seated)
        right, down = self._middle([window[0], window[-1]])
        return round(1000 * hypot(right - x, down - y)) + self._singles(set(window), set(window), free) * SINGLE_COST

    def _middle(self, numbers: list[int]) -> tuple[float, float]:
        xs, ys = zip(*(self.positions[n] for n in numbers), strict=True)
        return sum(xs) / len(xs), sum(ys) / len(ys)

    def _singles(self, chosen: set[int], mine: set[int], free: set[int]) -> int:
        """Free seats next to the group whose neighbours are all taken. The group goes on over picked seats."""
        run = next(run for run in self.runs if min(chosen) in run)
        left = free - mine
        ends = []
        for n, step in ((min(chosen), -1), (max(chosen), 1)):
            while n in mine and n in run:
                n += step
            ends.append(n in left and n in run and not (n + step in left and n + step in run))
        return sum(ends)


@st.composite
def halls(draw: st.DrawFn) -> Hall:
    # Free seats are drawn more often than taken ones, or no stretch would ever be long.
    part = st.lists(st.sampled_from("aaaabbAB"), min_size=1, max_size=8).map("".join)
    # Three seats without an aisle are enough to see that an aisle is one.
    wide = st.tuples(st.lists(st.sampled_from("aaaaAb"), min_size=3, max_size=6).map("".join), part).map(" ".join)
    drawings = draw(st.lists(part | wide, min_size=1, max_size=6))
    sections = draw(st.tuples(*(st.sampled_from("XY") for _ in drawings)))
    focal = draw(st.none() | st.tuples(st.integers(-60, 200), st.integers(-60, 100)))
    return Hall(tuple(drawings), sections, draw(st.sampled_from([frozenset("AB"), frozenset("A")])), focal)


groups = st.tuples(
    st.integers(1, 9),
    st.sampled_from([None, None, "A", "B", "?"]),
    st.sampled_from([None, None, "X"]),
    st.just(frozenset[int]()) | st.frozensets(st.integers(0, 40), min_size=1, max_size=3),
)


@settings(without_deadline, max_examples=200)
@given(halls(), st.lists(groups, min_size=1, max_size=6))
def test_several_groups_get_the_seats_that_the_model_chooses(
    hall: Hall, wishes: list[tuple[int, str | None, str | None, frozenset[int]]]
) -> None:
    chooser, model, free = hall.free_seats(), Model(hall), hall.free()
    for quantity, category, section, numbers in wishes:
        picked = numbers & free
        possible = (free & hall.wanted(category, section)) - picked
        if len(possible) < quantity:
            with pytest.raises(events.SoldOut) as refused:
                chooser.choose(quantity, category, section, sorted(picked))
            assert refused.value.details["available"] == len(possible)
            continue
        chosen = chooser.choose(quantity, category, section, sorted(picked))
        assert chosen == model.choose(free - picked, possible, quantity, set(picked))
        taken = {*chosen, *picked}
        chooser.take(taken)
        free -= taken


@without_deadline
@given(halls(), st.integers(1, 9))
def test_no_split_into_fewer_parts_exists(hall: Hall, quantity: int) -> None:
    """A group needs at least as many parts as the longest runs that can seat it."""
    free = hall.free()
    if len(free) < quantity:
        return
    needed, seated = 0, 0
    for length in sorted((len(part) for part in _parts(hall, free)), reverse=True):
        if seated < quantity:
            needed, seated = needed + 1, seated + length
    assert len(_parts(hall, hall.free_seats().choose(quantity))) <= needed


def _parts(hall: Hall, numbers: Iterable[int]) -> list[list[int]]:
    """The seats, side by side."""
    row_of = {number: run for run in hall.runs for number in run}
    keyed = groupby(enumerate(sorted(numbers)), lambda pair: (pair[1] - pair[0], row_of[pair[1]]))
    return [[number for _, number in part] for _, part in keyed]


@without_deadline
@given(halls(), st.sets(st.integers(0, 71)))
def test_taken_seats_are_never_offered(hall: Hall, numbers: set[int]) -> None:
    chooser, taken = hall.free_seats(), numbers & set(range(len(hall.seats)))
    chooser.take(taken)
    with pytest.raises(events.SoldOut) as refused:
        chooser.choose(len(hall.seats) + 1)
    left = hall.free() - taken
    assert refused.value.details["available"] == len(left)
    assert chooser.choose(len(left)) == sorted(left)


def chosen(*drawings: str, quantity: int, category: str | None = None, focal: tuple[float, float] | None = None) -> str:
    """The hall with the chosen seats marked, rows parted by a space."""
    hall = Hall(drawings, tuple("X" for _ in drawings), focal=focal)
    numbers = hall.free_seats().choose(quantity, category)
    marked = "".join("#" if n in numbers else seat for n, seat in enumerate(hall.seats))
    return " ".join(marked[row.start : row.stop] for row in hall.rows)


def test_a_group_moves_along_the_row_to_leave_no_single_seat_of_another_category() -> None:
    assert chosen("baaaaa", quantity=2, category="A") == "ba##aa"


def test_a_row_farther_back_is_better_than_a_single_seat() -> None:
    assert chosen("aaa", "aaa", "aa", quantity=2) == "aaa aaa ##"


def test_one_single_seat_is_better_than_two() -> None:
    assert chosen("baab", "baa", quantity=2, category="A") == "baab b##"


def test_a_seat_beside_another_category_is_not_single() -> None:
    assert chosen("aaab", quantity=2, category="A") == "##ab"


def test_the_end_of_a_row_is_not_adjacent_to_the_next_row() -> None:
    assert chosen("aa", "aa", quantity=3) == "## #a"


def test_a_group_that_fits_nowhere_is_split_into_few_parts() -> None:
    assert chosen("aAaAa", "aaaA", "aaAA", quantity=5) == "aAaAa ###A ##AA"


def test_a_split_group_does_not_enclose_a_single_seat() -> None:
    assert chosen("aaabaa", "aa", quantity=5, category="A") == "###baa ##"


def test_a_single_seat_does_not_break_up_a_pair() -> None:
    assert chosen("aaAaaaAa", quantity=1) == "aaA#aaAa"


def test_the_number_of_statuses_must_match_the_plan() -> None:
    rows = SeatRows([PlanRow(0, "X", ["X-1-1", "X-1-2"], ["A", "A"], [None] * 2, [None] * 2)])
    for statuses in ("a", "aaa"):
        with pytest.raises(SeatCountMismatch):
            FreeSeats(rows, statuses, {"A"})


def test_a_plan_with_a_gap_in_its_numbers_is_refused() -> None:
    with pytest.raises(SeatNumbersNotConsecutive):
        SeatRows([PlanRow(0, "X", ["X-1-1"], ["A"], [None], [None]), PlanRow(2, "X", ["X-2-1"], ["A"], [None], [None])])


def test_seats_and_labels_are_mapped_to_each_other() -> None:
    rows = SeatRows(
        [
            PlanRow(0, "X", ["X-1-1", "X-1-2"], ["A", "B"], [None] * 2, [None] * 2),
            PlanRow(2, "Y", ["Y-1-1"], ["A"], [None], [None]),
        ]
    )
    seats = FreeSeats(rows, "aaa", {"A", "B"})
    assert [(seats.label(n), seats.category(n)) for n in range(3)] == [("X-1-1", "A"), ("X-1-2", "B"), ("Y-1-1", "A")]
    assert [seats.number_of(label) for label in ("X-1-1", "X-1-2", "Y-1-1", "Z")] == [0, 1, 2, None]


def test_nothing_is_offered_of_an_event_without_seats() -> None:
    with pytest.raises(events.SoldOut):
        FreeSeats(SeatRows([]), "", set()).choose(1)
