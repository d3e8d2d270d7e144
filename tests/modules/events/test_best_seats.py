"""Best available: side by side, best row first, and no single seat left over if that can be avoided."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.modules.events.seat_driver import EARLIER, Stage
from tests.modules.events.test_seat_plan import renew_plan
from tests.modules.venues.plans import plan, row, seat
from tests.support.world import World, data
from ticketing.infra.db import Database
from ticketing.infra.db.pipeline import driver_connection, send
from ticketing.modules import events
from ticketing.modules.events.inventory import seat_rows
from ticketing.modules.events.inventory.best_seats import FREE_STATUSES
from ticketing.modules.events.inventory.seat_rows import PLAN_ROWS, RunQuery


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    """Two rows of five seats: Stalls-A-1 to Stalls-B-5."""
    return Stage(database, await world.show(rows=2, seats=5))


class QueryRunner:
    """Runs queries on one connection, as a batch does, and counts the reads of plans."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.plans = connection, 0

    async def __call__(self, query: str, *values: Any) -> Sequence[Sequence[Any]]:
        self.plans += query == PLAN_ROWS
        return await (await send(await driver_connection(self.connection), query, *values)).fetchall()


@asynccontextmanager
async def query_runner(database: Database) -> AsyncIterator[QueryRunner]:
    async with database.engine.connect() as connection:
        yield QueryRunner(connection)


async def free_seats(stage: Stage) -> events.FreeSeats:
    async with query_runner(stage.database) as run_query:
        return (await events.read_free_seats(run_query, stage.organization_id, {stage.event_id: {2}}))[stage.event_id]


async def find(stage: Stage, quantity: int, **chosen: Any) -> list[str]:
    seats = await free_seats(stage)
    return [seats.label(number).removeprefix("Stalls-") for number in seats.choose(quantity, **chosen)]


async def take(stage: Stage, *labels: str) -> None:
    assert await stage.take([f"Stalls-{label}" for label in labels])


async def test_the_best_row_comes_first(stage: Stage) -> None:
    assert await find(stage, 3) == ["A-1", "A-2", "A-3"]


async def test_a_row_that_is_too_short_is_skipped(stage: Stage) -> None:
    await take(stage, "A-3")
    assert await find(stage, 3) == ["B-1", "B-2", "B-3"]
    assert await find(stage, 2) == ["A-1", "A-2"]


async def test_no_single_seat_is_left_over_when_it_can_be_avoided(stage: Stage) -> None:
    await take(stage, "A-4")
    assert await find(stage, 2) == ["B-1", "B-2"], "A-1 and A-2 would leave A-3 alone"
    await take(stage, "B-1", "B-2", "B-3", "B-4", "B-5")
    assert await find(stage, 2) == ["A-2", "A-3"], "there is nothing else, and one of three stays alone"


async def test_a_run_that_fits_exactly_is_taken(stage: Stage) -> None:
    await take(stage, "A-3", "A-4", "A-5")
    assert await find(stage, 2) == ["A-1", "A-2"]


async def test_a_group_that_fits_into_no_row_is_split_into_few_parts(stage: Stage) -> None:
    await take(stage, "A-2")
    assert await find(stage, 6) == ["A-3", "B-1", "B-2", "B-3", "B-4", "B-5"]


async def test_the_stage_of_an_imported_plan_decides_which_row_is_best(world: World, database: Database) -> None:
    rows = [row("A", 8), row("B", 8, 30)]
    area = {"position": {"x": 0, "y": 100}, "width": 190, "height": 40, "text": "Bühne"}
    assert await find(await imported(world, database, rows=rows), 2) == ["A-4", "A-5"], "the first row is in front"
    assert await find(await imported(world, database, rows=rows, areas=[area]), 2) == ["B-4", "B-5"]


async def test_the_focal_point_of_an_imported_plan_comes_before_its_stage(world: World, database: Database) -> None:
    area = {"position": {"x": 0, "y": 100}, "width": 190, "height": 40, "text": "Stage"}
    stage = await imported(world, database, {"x": 500, "y": 0}, rows=[row("A", 8), row("B", 8, 30)], areas=[area])
    assert await find(stage, 2) == ["A-7", "A-8"]


async def test_a_lapsed_hold_is_free(stage: Stage) -> None:
    assert await stage.take(["Stalls-A-1"], uuid4(), EARLIER)
    assert len(await find(stage, 10)) == 10


async def test_too_large_a_group_is_refused_with_the_available_seats(stage: Stage) -> None:
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


async def imported(world: World, database: Database, focal_point: dict[str, float] | None = None, **zone: Any) -> Stage:
    """A show of a plan with one zone, Stalls."""
    tenant = await world.tenant()
    path = tenant.path("/venues/import?format=pretix&timezone=UTC")
    zones = [{"name": "Stalls", "position": {"x": 0, "y": 0}, **zone}]
    categories = [{"name": name} for name in ("Stalls", "Box")]
    file = plan(zones=zones, categories=categories, focal_point=focal_point)
    venue = data(await tenant.admin.post(path, file), 201)
    show = await world.show(tenant, seats=0, publish=False, venue_id=venue["id"])
    show.venue_id = venue["id"]
    body = {"name": "All", "price": 1, "categories": ["Stalls", "Box"]}
    data(await tenant.admin.post(show.path("/ticket-types"), body), 201)
    data(await tenant.admin.post(show.path("/seats/sync")))
    return Stage(database, show)


async def rows_of(stage: Stage, run_query: RunQuery, version: int = 1) -> seat_rows.SeatRows:
    return await seat_rows.rows_of_plan(run_query, stage.organization_id, UUID(stage.show.venue_id), version)


async def test_a_row_in_two_places_is_two_rows(world: World, database: Database) -> None:
    more = row("A", 0) | {"seats": [seat(n, seat_guid=f"more-{n}") for n in (4, 5, 6)]}
    stage = await imported(world, database, rows=[row("A", 3), row("B", 4, 30), more])
    assert await find(stage, 4) == ["B-1", "B-2", "B-3", "B-4"]
    await take(stage, "B-2", "B-3")
    assert await find(stage, 6) == ["A-1", "A-2", "A-3", "A-4", "A-5", "A-6"]


async def test_a_group_moves_along_its_row_to_leave_no_single_box_seat(world: World, database: Database) -> None:
    seats = [seat(1, "Box"), *(seat(n) for n in range(2, 7))]
    stage = await imported(world, database, rows=[{"row_number": "A", "seats": seats}])
    assert await find(stage, 2, category="Stalls") == ["A-3", "A-4"]


async def test_several_groups_of_one_query_never_get_the_same_seats(stage: Stage) -> None:
    await take(stage, "A-2")
    seats = await free_seats(stage)
    offered: list[int] = []
    for quantity in (3, 2, 1, 3):
        numbers = seats.choose(quantity)
        seats.take(numbers)
        offered += numbers
    assert sorted(offered) == [0, *range(2, 10)]
    with pytest.raises(events.SoldOut):
        seats.choose(1)


async def test_events_are_read_together_and_those_without_seats_or_of_others_are_missing(
    world: World, database: Database
) -> None:
    tenant = await world.tenant()
    small, large = [Stage(database, await world.show(tenant, rows=1, seats=n)) for n in (2, 3)]
    bare = Stage(database, await world.show(tenant, seats=0, capacity=1))
    foreign = Stage(database, await world.show(seats=1))
    ids = [stage.event_id for stage in (small, large, bare, foreign)]
    async with query_runner(database) as run_query:
        found = await events.read_free_seats(run_query, small.organization_id, dict.fromkeys(ids, (2,)))
    assert {event_id: len(seats.choose(2)) for event_id, seats in found.items()} == {
        small.event_id: 2,
        large.event_id: 2,
    }


async def test_the_statuses_are_those_of_the_map(stage: Stage, database: Database) -> None:
    admin = stage.show.tenant.admin
    owner = uuid4()
    assert await stage.take(["Stalls-A-1"], owner)
    await stage.sell(owner, [0])
    await take(stage, "A-2")
    assert await stage.take(["Stalls-A-3"], uuid4(), EARLIER)
    data(await admin.post(stage.show.path("/seats/block"), {"seats": ["Stalls-B-5"]}))
    async with query_runner(database) as run_query:
        [(_, _, _, statuses, _)] = await run_query(FREE_STATUSES, stage.organization_id, [stage.event_id])
    assert statuses == data(await admin.get(f"/events/{stage.show.id}/availability"))["seats"] == "shaaaaaaab"


async def test_concurrent_requests_read_a_plan_once(stage: Stage, database: Database) -> None:
    async with query_runner(database) as run_query:
        results = await asyncio.gather(*(rows_of(stage, run_query) for _ in range(5)))
    assert run_query.plans == 1
    assert all(rows is results[0] for rows in results)


async def test_seats_are_chosen_by_a_new_plan_once_it_is_synced(world: World, database: Database) -> None:
    stage = Stage(database, await world.show(rows=1, seats=4))
    assert await find(stage, 4) == ["A-1", "A-2", "A-3", "A-4"]
    await renew_plan(database, stage.show.venue_id)
    assert await find(stage, 4) == ["A-1", "A-2", "A-3", "A-4"], "the event keeps its plan"
    data(await stage.show.tenant.admin.post(stage.show.path("/seats/sync")))
    assert await find(stage, 5) == ["A-1", "A-2", "A-3", "A-4", "A-5"]


async def test_a_plan_hidden_from_one_reader_is_not_cached_as_empty(stage: Stage, database: Database, app: Any) -> None:
    async with query_runner(app.state.get(Database)) as stranger, query_runner(database) as run_query:
        assert (await rows_of(stage, stranger)).labels == ()
        assert len((await rows_of(stage, run_query)).labels) == 10


async def test_the_cache_of_plans_is_bounded_and_evicts_the_least_recently_used(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seat_rows, "SEATS_MAX", 20)
    first, second, third = [Stage(database, await world.show(rows=2, seats=5)) for _ in range(3)]
    async with query_runner(database) as run_query:
        for stage in (first, second, first, third, first, third):
            await rows_of(stage, run_query)
        assert run_query.plans == 3
        await rows_of(second, run_query)
        assert run_query.plans == 4
        monkeypatch.setattr(seat_rows, "SEATS_MAX", 5)
        assert await rows_of(first, run_query) is await rows_of(first, run_query), (
            "one plan is cached, however large it is"
        )
