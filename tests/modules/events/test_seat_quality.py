"""Good seats: distance and angle to the focal point, and where this point is; and which seats are side by side."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticketing.modules.events.inventory.row_runs import Row, split_rows
from ticketing.modules.events.inventory.seat_quality import Point, focal_point, seat_costs

Place = tuple[float, float]


def columns(places: Sequence[Place]) -> tuple[list[float], list[float]]:
    return [x for x, _ in places], [y for _, y in places]


def grid(columns_: range, rows: range) -> list[Place]:
    return [(float(x), float(y)) for y in rows for x in columns_]


def bowl(seats: int = 60) -> list[Place]:
    """Three rings around an empty middle at (300, 200)."""
    turns = [(radius, 2 * math.pi * n / seats) for radius in (1.0, 1.1, 1.2) for n in range(seats)]
    return [(300 + 250 * r * math.cos(turn), 200 + 150 * r * math.sin(turn)) for r, turn in turns]


coordinates = st.floats(-1e4, 1e4)


@given(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=30), coordinates, coordinates)
def test_a_seat_costs_its_distance_and_more_at_an_angle(places: list[Place], x: float, y: float) -> None:
    away = [complex(px - x, py - y) for px, py in places]
    mean = sum(z / abs(z) for z in away if z) / len(places)
    angles = [math.atan2(z.imag, z.real) - math.atan2(mean.imag, mean.real) for z in away]
    expected = [abs(z) * (1 + abs(mean) * (1 - math.cos(turn))) for z, turn in zip(away, angles, strict=True)]
    costs = seat_costs(*columns(places), Point(x, y))
    assert [cost / 1000 for cost in costs] == pytest.approx(expected, abs=0.01)


def test_the_middle_of_the_third_row_is_better_than_the_corner_of_the_first() -> None:
    places = grid(range(0, 400, 20), range(0, 200, 20))
    costs = dict(zip(places, seat_costs(*columns(places), Point(190, -20)), strict=True))
    assert costs[180, 0] == costs[200, 0] == min(costs.values())
    assert costs[180, 40] < costs[0, 0] == costs[380, 0]


def area(text: Any, **shape: Any) -> dict[str, Any]:
    return {"shape": "rectangle", "position": {"x": 100, "y": 500}, "width": 60, "height": 20, "text": text, **shape}


HALL = grid(range(0, 220, 20), range(0, 100, 20))
POLYGON = {"points": [{"x": 0, "y": 0}, {"x": 60, "y": 0}, {"x": 30, "y": 20}]}


@pytest.mark.parametrize(
    ("layout", "places", "first_row", "focal"),
    [
        ({"focal_point": {"x": 1, "y": 2}, "areas": [area("Stage")]}, HALL, 11, (1, 2)),
        ({"areas": [area("Bar"), area("Main stage")]}, HALL, 11, (130, 510)),
        ({"areas": [area({"text": "BÜHNE", "position": {"x": 0, "y": 0}})]}, HALL, 11, (130, 510)),
        ({"areas": [area("Stage", shape="polygon", polygon=POLYGON)]}, HALL, 11, (130, 510)),
        ({"areas": [area("Stage", shape="circle", circle={"radius": 9})]}, HALL, 11, (100, 500)),
        ({"areas": [area("Stage", rotation=90)]}, HALL, 11, (90, 530)),
        ({"areas": [area("Backstage"), area("Food court"), area(None), area("")]}, HALL, 11, (100, -20)),
        ({}, HALL, 11, (100, -20)),
        ({}, HALL[::-1], 11, (100, 100)),
        ({}, [(y, x) for x, y in HALL], 11, (-20, 100)),
        ({}, [(y, x) for x, y in HALL][::-1], 11, (100, 100)),
        ({}, [(7.0, 7.0)], 1, (7, 6)),
        ({}, bowl(), 60, (300, 200)),
        # A gangway across the middle is not what the audience looks at.
        (
            {},
            [*grid(range(0, 220, 20), range(0, 60, 20)), *grid(range(0, 220, 20), range(160, 220, 20))],
            11,
            (100, -20),
        ),
    ],
)
def test_the_focal_point(layout: dict[str, Any], places: list[Place], first_row: int, focal: Place) -> None:
    assert focal_point(layout, *columns(places), first_row) == pytest.approx(focal)


def runs(*rows: Sequence[Place]) -> list[list[Place]]:
    places = [place for row in rows for place in row]
    starts = [sum(map(len, rows[:index])) for index in range(len(rows))]
    listed = [Row("Stalls", range(start, start + len(row))) for start, row in zip(starts, rows, strict=True)]
    return [[places[n] for n in run.numbers] for run in split_rows(listed, *columns(places))]


def line(*xs: float) -> list[Place]:
    return [(float(x), 0.0) for x in xs]


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        (line(0, 20, 40, 60), [line(0, 20, 40, 60)]),
        (line(0, 20, 40, 100, 120), [line(0, 20, 40), line(100, 120)]),
        (line(0, 20, 60, 80, 100), [line(0, 20), line(60, 80, 100)]),
        (line(120, 100, 40, 20, 0), [line(120, 100), line(40, 20, 0)]),
        (line(0, 50, 100, 150), [line(0, 50, 100, 150)]),
        (line(0, 20, 48, 68), [line(0, 20, 48, 68)]),
        (line(0, 40, 80, 20, 60, 100), [line(0, 20, 40, 60, 80, 100)]),
        (line(0, 0, 0), [line(0, 0, 0)]),
        (line(5), [line(5)]),
    ],
    ids=["whole", "aisle", "missing seat", "from right", "wide seats", "wide arm", "odd before even", "no room", "one"],
)
def test_an_aisle_parts_a_row(row: list[Place], parts: list[list[Place]]) -> None:
    assert runs(row) == parts


def test_a_row_of_two_seats_is_parted_by_the_distance_that_is_usual_in_its_section() -> None:
    assert runs(line(0, 20, 40), line(0, 80)) == [line(0, 20, 40), line(0), line(80)]
    assert runs(line(0, 60), line(0, 60)) == [line(0, 60), line(0, 60)]


def test_a_horseshoe_keeps_its_order() -> None:
    turns = [math.radians(turn) for turn in range(-150, 151, 5)]
    horseshoe = [(100 * math.cos(turn), 100 * math.sin(turn)) for turn in turns]
    assert runs(horseshoe) == [horseshoe]
