"""Names of rows and seats for a plan whose file leaves them empty, or gives one name to several.

A row that an aisle divides is often two rows of one name in the file, each with seats 1 to 10. They are told apart by
their place, from left to right and then from top to bottom, so that the order of the file does not matter: the first
one keeps its name, and the next one is `A (2)`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from ticketing.modules.venues.pretix.faults import Report
from ticketing.modules.venues.pretix.files import Path

Place = tuple[float, float]


@dataclass(slots=True)
class Spot:
    """A seat of the file, at its position in the plan. `said` is how it is called, with `%s` for its name."""

    name: str
    category: str
    x: float
    y: float
    said: str | None


@dataclass(slots=True)
class Block:
    """A row of the file. `row_said` is how the row is called, with `%s` for its name."""

    path: Path
    section: str
    row: str
    row_said: str | None
    spots: list[Spot]

    @property
    def place(self) -> Place:
        return min(spot.x for spot in self.spots), min(spot.y for spot in self.spots)


def say(pattern: str | None, name: str) -> str | None:
    """How a row or seat of this name is called; None without a pattern."""
    return pattern.replace("%s", name) if pattern else None


def number_unnamed(names: Iterable[str]) -> list[str]:
    """The names, with each empty one replaced by its number from 1, or the next number that no other one has."""
    listed = list(names)
    taken = set(listed)
    named, last = [], 0
    for index, name in enumerate(listed):
        if not name:
            last = max(index, last) + 1
            while str(last) in taken:
                last += 1
            name = str(last)
        named.append(name)
    return named


def tell_apart(blocks: Collection[Block], report: Report) -> None:
    """Rename rows and seats until no two seats have the same section, row and name."""
    filled = [block for block in blocks if block.spots]
    for block in filled:
        _tell_seats_apart(block, report)
    same = defaultdict[tuple[str, str], list[Block]](list)
    for block in filled:
        same[block.section, block.row].append(block)
    for (section, _), its in list(same.items()):
        if len(its) > 1:
            _tell_rows_apart(section, its, same, report)


def _tell_seats_apart(block: Block, report: Report) -> None:
    counts = Counter(spot.name for spot in block.spots)
    if len(counts) == len(block.spots):
        return
    twice = next(name for name, count in counts.items() if count > 1)
    report.warnings.add(block.path, f"Seat {twice} appears {counts[twice]} times in this row; they were numbered.")
    seen, taken = Counter[str](), set(counts)
    for spot in sorted(block.spots, key=lambda spot: (spot.x, spot.y)):
        name = spot.name
        seen[name] += 1
        if seen[name] > 1:
            spot.name = numbered(name, seen[name], taken.__contains__)
            taken.add(spot.name)


def _tell_rows_apart(
    section: str, blocks: list[Block], taken: dict[tuple[str, str], list[Block]], report: Report
) -> None:
    """Give each row the lowest number at which none of its seats has a double among the rows before it."""
    turns, names = Counter[str](), dict[int, str]()
    for block in sorted(blocks, key=lambda block: block.place):
        turn = 1 + max(turns[spot.name] for spot in block.spots)
        turns.update({spot.name: turn - turns[spot.name] for spot in block.spots})
        if turn == 1:
            continue
        if turn not in names:
            names[turn] = numbered(block.row, turn, lambda name: (section, name) in taken)
            taken[section, names[turn]] = []
        message = f"Row {block.row} of {section} appears again with the same seats; this one is {names[turn]}."
        report.warnings.add(block.path, message)
        block.row = names[turn]


def numbered(name: str, number: int, is_taken: Callable[[str], bool]) -> str:
    """`A (2)`, or with the next number whose name is not taken."""
    while is_taken(candidate := f"{name} ({number})"):
        number += 1
    return candidate
