"""The choice of best seats, compared with a model that examines every position of every row, and drawn examples."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticketing.modules import events
from ticketing.modules.events.inventory.best_seats import FreeSeats, SeatCountMismatch
from ticketing.modules.events.inventory.seat_rows import PlanRow, SeatNumbersNotConsecutive, SeatRows

#: The model is slow, and slower on a busy machine.
without_deadline = settings(deadline=None)


@dataclass(frozen=True)
class Hall:
    """Rows as drawings: lower case is a free seat of category A or B, upper case a taken one."""

    drawings: tuple[str, ...]
    sections: tuple[str, ...]
    prices: frozenset[str] = frozenset("AB")

    @property
    def seats(self) -> str:
        return "".join(self.drawings)

    @property
    def rows(self) -> list[range]:
        ends = [len("".join(self.drawings[: index + 1])) for index in range(len(self.drawings))]
        return [range(end - len(drawing), end) for end, drawing in zip(ends, self.drawings, strict=True)]

    def free_seats(self) -> FreeSeats:
        rows = [
            PlanRow(row.start, section, [str(number) for number in row], list(drawing.upper()))
            for row, section, drawing in zip(self.rows, self.sections, self.drawings, strict=True)
        ]
        statuses = "".join("a" if seat.islower() else "s" for seat in self.seats)
        return FreeSeats(SeatRows.of(rows), statuses, self.prices)

    def free(self) -> set[int]:
        return {n for n, seat in enumerate(self.seats) if seat.islower() and seat.upper() in self.prices}

    def wanted(self, category: str | None, section: str | None) -> set[int]:
        places = zip(self.rows, self.sections, strict=True)
        near = {n for row, its in places if section in {None, its} for n in row}
        return {n for n in near if category in {None, self.seats[n].upper()}}


def choose_by_model(rows: list[range], free: set[int], wanted: set[int], quantity: int) -> list[int]:
    """The criteria, position by position: the longest part, the fewest single seats beside it, the lowest number."""

    def rank(row: range, part: range) -> tuple[int, int, int]:
        pairs = ((part.start - 1, part.start - 2), (part.stop, part.stop + 1))
        singles = sum(beside in free & set(row) and beyond not in free & set(row) for beside, beyond in pairs)
        return -len(part), singles, part.start

    if quantity == 0:
        return []
    lengths = range(1, quantity + 1)
    parts = [(row, range(start, start + length)) for row in rows for start in row for length in lengths]
    possible = [(row, part) for row, part in parts if set(part) <= set(row) & free & wanted]
    part = min(possible, key=lambda found: rank(*found))[1]
    return sorted([*part, *choose_by_model(rows, free - set(part), wanted, quantity - len(part))])


@st.composite
def halls(draw: st.DrawFn) -> Hall:
    # Free seats are drawn more often than taken ones, or no stretch would ever be long.
    rows = st.lists(st.sampled_from("aaaabbAB"), min_size=1, max_size=12).map("".join)
    drawings = draw(st.lists(rows, min_size=1, max_size=6))
    sections = draw(st.tuples(*(st.sampled_from("XY") for _ in drawings)))
    return Hall(tuple(drawings), sections, draw(st.sampled_from([frozenset("AB"), frozenset("A")])))


groups = st.tuples(st.integers(1, 9), st.sampled_from([None, None, "A", "B", "?"]), st.sampled_from([None, None, "X"]))


@settings(without_deadline, max_examples=300)
@given(halls(), st.lists(groups, min_size=1, max_size=6))
def test_several_groups_get_the_seats_that_the_model_chooses(
    hall: Hall, wishes: list[tuple[int, str | None, str | None]]
) -> None:
    chooser, free = hall.free_seats(), hall.free()
    for quantity, category, section in wishes:
        possible = free & hall.wanted(category, section)
        if len(possible) < quantity:
            with pytest.raises(events.SoldOut) as refused:
                chooser.choose(quantity, category, section)
            assert refused.value.details["available"] == len(possible)
            continue
        chosen = chooser.choose(quantity, category, section)
        assert chosen == choose_by_model(hall.rows, free, possible, quantity)
        chooser.take(chosen)
        free -= set(chosen)


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
    row_of = {number: row for row in hall.rows for number in row}
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


def chosen(*drawings: str, quantity: int, category: str | None = None) -> str:
    """The hall with the chosen seats marked, rows parted by a space."""
    hall = Hall(drawings, tuple("X" for _ in drawings))
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
    rows = SeatRows.of([PlanRow(0, "X", ["X-1-1", "X-1-2"], ["A", "A"])])
    for statuses in ("a", "aaa"):
        with pytest.raises(SeatCountMismatch):
            FreeSeats(rows, statuses, {"A"})


def test_a_plan_with_a_gap_in_its_numbers_is_refused() -> None:
    with pytest.raises(SeatNumbersNotConsecutive):
        SeatRows.of([PlanRow(0, "X", ["X-1-1"], ["A"]), PlanRow(2, "X", ["X-2-1"], ["A"])])


def test_seats_and_labels_are_mapped_to_each_other() -> None:
    rows = SeatRows.of([PlanRow(0, "X", ["X-1-1", "X-1-2"], ["A", "B"]), PlanRow(2, "Y", ["Y-1-1"], ["A"])])
    seats = FreeSeats(rows, "aaa", {"A", "B"})
    assert [(seats.label(n), seats.category(n)) for n in range(3)] == [("X-1-1", "A"), ("X-1-2", "B"), ("Y-1-1", "A")]
    assert [seats.number_of(label) for label in ("X-1-1", "X-1-2", "Y-1-1", "Z")] == [0, 1, 2, None]


def test_nothing_is_offered_of_an_event_without_seats() -> None:
    with pytest.raises(events.SoldOut):
        FreeSeats(SeatRows.of([]), "", set()).choose(1)
