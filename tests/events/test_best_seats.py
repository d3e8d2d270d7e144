"""Best available: side by side, best row first, and no lonely seat left behind when that can be avoided."""

from uuid import uuid4

import pytest

from tests.events.stage import EARLIER, Stage
from tests.world import World, data
from ticketing.infra.db import Database
from ticketing.modules import events


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    """Two rows of five seats: Stalls-A-1 to Stalls-B-5."""
    return Stage(database, await world.show(rows=2, seats=5))


async def find(stage: Stage, quantity: int, **wish: str) -> list[str]:
    async with stage.database.transaction() as session:
        event = await events.get_event(session, stage.event_id)
        return [
            label.removeprefix("Stalls-")
            for label in await events.find_best_available(session, event, quantity, **wish)
        ]


async def take(stage: Stage, *labels: str) -> None:
    await stage.take([f"Stalls-{label}" for label in labels])


async def test_the_best_row_comes_first(stage: Stage) -> None:
    assert await find(stage, 3) == ["A-1", "A-2", "A-3"]


async def test_a_row_that_is_too_short_is_passed_over(stage: Stage) -> None:
    await take(stage, "A-3")
    assert await find(stage, 3) == ["B-1", "B-2", "B-3"]
    assert await find(stage, 2) == ["A-1", "A-2"]


async def test_no_lonely_seat_is_left_when_it_can_be_avoided(stage: Stage) -> None:
    await take(stage, "A-4")
    assert await find(stage, 2) == ["B-1", "B-2"], "A-1 and A-2 would leave A-3 alone"
    await take(stage, "B-1", "B-2", "B-3", "B-4", "B-5")
    assert await find(stage, 2) == ["A-1", "A-2"], "there is nothing else"


async def test_a_run_that_fits_exactly_is_taken(stage: Stage) -> None:
    await take(stage, "A-3", "A-4", "A-5")
    assert await find(stage, 2) == ["A-1", "A-2"]


async def test_a_group_that_fits_into_no_row_gets_the_first_free_seats(stage: Stage) -> None:
    await take(stage, "A-2")
    assert await find(stage, 6) == ["A-1", "A-3", "A-4", "A-5", "B-1", "B-2"]


async def test_a_hold_that_has_run_out_is_free(stage: Stage) -> None:
    await stage.take(["Stalls-A-1"], uuid4(), EARLIER)
    assert await find(stage, 1) == ["A-1"]


async def test_too_large_a_group_is_told_what_is_left(stage: Stage) -> None:
    await take(stage, "A-1")
    with pytest.raises(events.SoldOut) as refused:
        await find(stage, 10)
    assert refused.value.details["available"] == 9


async def test_a_section_or_category_can_be_chosen_and_unpriced_seats_are_never_offered(
    world: World, database: Database
) -> None:
    tenant = await world.tenant()
    sections = [
        {"name": n, "category": f"{n} price", "rows": [{"name": "1", "seats": 2}]} for n in ("Left", "Mid", "Right")
    ]
    venue = data(
        await tenant.admin.post(tenant.path("/venues"), {"name": "X", "timezone": "UTC", "sections": sections}), 201
    )
    show = await world.show(tenant, seats=0, capacity=1, publish=False, venue_id=venue["id"])
    for name in ("Mid", "Right"):
        body = {"name": name, "price": 1, "categories": [f"{name} price"]}
        data(await tenant.admin.post(show.path("/ticket-types"), body), 201)
    data(await tenant.admin.post(show.path("/seats/sync")))
    stage = Stage(database, show)
    assert await find(stage, 1) == ["Mid-1-1"]
    assert await find(stage, 1, section="Right") == ["Right-1-1"]
    assert await find(stage, 2, category="Right price") == ["Right-1-1", "Right-1-2"]
    with pytest.raises(events.SoldOut):
        await find(stage, 1, section="Left")
