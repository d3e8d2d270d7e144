"""Which seats of a row are side by side, by their positions: in what order, and where an aisle parts them."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import hypot
from typing import NamedTuple

from ticketing.modules.events.inventory.seat_quality import typical_gap

#: Two seats with more than this many times the usual distance between them are parted by an aisle or a missing seat.
AISLE_GAPS = 1.75
#: In a row of two, the distance between them is compared with the usual one of the section instead.
_SEATS_MIN = 3


class Row(NamedTuple):
    """The seats of a row, by number."""

    section: str
    numbers: Sequence[int]


def split_rows(rows: Sequence[Row], xs: Sequence[float], ys: Sequence[float]) -> Iterator[Row]:
    """The runs of seats that are side by side, in the order of the rows."""
    ordered = [_along(row.numbers, xs, ys) for row in rows]
    gaps = [[hypot(xs[b] - xs[a], ys[b] - ys[a]) for a, b in pairwise(numbers)] for numbers in ordered]
    of_sections = defaultdict[str, list[float]](list)
    for row, its in zip(rows, gaps, strict=True):
        of_sections[row.section] += [typical_gap(its)] if its else []
    usual = {section: typical_gap(its) for section, its in of_sections.items()}
    for row, numbers, its in zip(rows, ordered, gaps, strict=True):
        limit = AISLE_GAPS * (typical_gap(its) if len(numbers) >= _SEATS_MIN else usual[row.section])
        start = 0
        for end, gap in enumerate(its, start=1):
            if gap > limit:
                yield Row(row.section, numbers[start:end])
                start = end
        yield Row(row.section, numbers[start:])


def _along(row: Sequence[int], xs: Sequence[float], ys: Sequence[float]) -> list[int]:
    """The seats from one end to the other: in the order of the plan, or along the line between the outermost seats.

    The shorter way is right: a horseshoe is not in the order of any line, and a plan that lists odd seats before even
    ones is not in the order of its numbers.
    """
    listed = list(row)
    far = max(listed, key=lambda n: hypot(xs[n] - xs[listed[0]], ys[n] - ys[listed[0]]))
    end = max(listed, key=lambda n: hypot(xs[n] - xs[far], ys[n] - ys[far]))
    right, down = xs[far] - xs[end], ys[far] - ys[end]
    sorted_ = sorted(listed, key=lambda n: (xs[n] * right + ys[n] * down, n))
    by_line = sorted_ if sorted_[0] <= sorted_[-1] else sorted_[::-1]
    return by_line if _length(by_line, xs, ys) < _length(listed, xs, ys) * (1 - 1e-9) else listed


def _length(row: Sequence[int], xs: Sequence[float], ys: Sequence[float]) -> float:
    return sum(hypot(xs[b] - xs[a], ys[b] - ys[a]) for a, b in pairwise(row))
