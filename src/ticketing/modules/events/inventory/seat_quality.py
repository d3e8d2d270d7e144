"""How good each seat of a plan is: its distance from the focal point, and its angle to the direction of the audience.

The focal point is, in this order:

1. the plan's own, `focal_point` in its layout;
2. the middle of the area whose text names a stage or a field of play;
3. where the seats surround an empty middle, that middle;
4. the middle of the side of the plan where its first row is, one seat in front of the seats.
"""

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from math import cos, hypot, radians, sin
from typing import Any, NamedTuple

#: Words that name what the audience looks at, as the whole text of an area or within it.
_STAGE = re.compile(
    r"\b(stage|b[üu]hne|podium|sc[èe]ne|escenario|palco|palcoscenico|toneel|scena|screen|leinwand|"
    r"field|pitch|(?<!food )court|rink|ring)\b",
    re.IGNORECASE,
)
#: The middle of a plan is empty if no seat is nearer to it than this share of the way to the plan's sides. Seats
#: surround it if there are some on each side within this slope. A gangway across the plan is no such middle: where it
#: is wide enough to be empty, it has no seats on two of the sides.
_EMPTY_MIDDLE, _SIDE_SLOPE = 0.2, 0.15
#: Costs are integers in thousandths of the plan's unit: their sums are exact, and mirrored seats cost the same.
COST_SCALE = 1000


class Point(NamedTuple):
    """A position in units of the plan; y grows downwards."""

    x: float
    y: float


def seat_costs(xs: Sequence[float], ys: Sequence[float], focal: Point) -> "array[int]":
    """The cost of each seat, 0 at the focal point: the lower, the better.

    `distance * (1 + a - a * cos(angle))`, with the angle between the seat and the mean direction of all seats, and with
    `a` from 0, for an audience on all sides, to 1, for an audience in one direction.
    """
    offsets = [(x - focal.x, y - focal.y) for x, y in zip(xs, ys, strict=True)]
    distances = [hypot(dx, dy) for dx, dy in offsets]
    count = len(offsets) or 1
    ahead_x = sum(dx / d for (dx, _), d in zip(offsets, distances, strict=True) if d) / count
    ahead_y = sum(dy / d for (_, dy), d in zip(offsets, distances, strict=True) if d) / count
    weight = 1 + hypot(ahead_x, ahead_y)
    return array(
        "q",
        [
            round(COST_SCALE * (d * weight - dx * ahead_x - dy * ahead_y))
            for (dx, dy), d in zip(offsets, distances, strict=True)
        ],
    )


def focal_point(layout: Mapping[str, Any], xs: Sequence[float], ys: Sequence[float], first_row: int) -> Point:
    """The focal point of a plan with at least one seat; `first_row` is the number of seats of its first row."""
    if given := layout.get("focal_point"):
        return Point(given["x"], given["y"])
    for area in layout.get("areas", ()):
        if _STAGE.search(_text(area)):
            return _middle(area)
    return _empty_middle(xs, ys) or _front(xs, ys, first_row)


def typical_gap(gaps: Iterable[float]) -> float:
    """The lower median of these distances; 1 without any."""
    listed = sorted(gaps)
    return listed[(len(listed) - 1) // 2] if listed else 1.0


def _text(area: Mapping[str, Any]) -> str:
    text = area.get("text") or ""
    return str(text if isinstance(text, str) else text.get("text", ""))


def _middle(area: Mapping[str, Any]) -> Point:
    """The middle of an area: its position is the centre of a circle or ellipse, else a corner that it turns about."""
    if polygon := area.get("polygon"):
        xs, ys = zip(*((point["x"], point["y"]) for point in polygon["points"]), strict=True)
        right, down = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    else:
        size = area.get("rectangle") or (area if area.get("shape") == "rectangle" else {})
        right, down = size.get("width", 0) / 2, size.get("height", 0) / 2
    turn = radians(area.get("rotation") or 0)
    corner = area["position"]
    return Point(corner["x"] + right * cos(turn) - down * sin(turn), corner["y"] + right * sin(turn) + down * cos(turn))


def _empty_middle(xs: Sequence[float], ys: Sequence[float]) -> Point | None:
    """The middle of a plan whose seats surround it."""
    middle = Point((min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2)
    half_x, half_y = max(xs) - middle.x, max(ys) - middle.y
    if not half_x or not half_y:
        return None
    sides = set[str]()
    for x, y in zip(xs, ys, strict=True):
        right, down = (x - middle.x) / half_x, (y - middle.y) / half_y
        if hypot(right, down) < _EMPTY_MIDDLE:
            return None
        if abs(down) < abs(right) * _SIDE_SLOPE:
            sides.add("right" if right > 0 else "left")
        elif abs(right) < abs(down) * _SIDE_SLOPE:
            sides.add("below" if down > 0 else "above")
    return middle if len(sides) == 4 else None


def _front(xs: Sequence[float], ys: Sequence[float], first_row: int) -> Point:
    """The middle of the side where the first row is, one seat in front of it."""
    step = typical_gap(hypot(xs[b] - xs[a], ys[b] - ys[a]) for a, b in pairwise(range(first_row)))
    left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
    last = first_row - 1
    if abs(xs[last] - xs[0]) >= abs(ys[last] - ys[0]):
        is_above = (ys[0] + ys[last]) <= top + bottom
        return Point((left + right) / 2, top - step if is_above else bottom + step)
    is_left = (xs[0] + xs[last]) <= left + right
    return Point(left - step if is_left else right + step, (top + bottom) / 2)
