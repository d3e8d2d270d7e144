"""Copy the plan into the event, and block seats."""

from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from tests.modules.events.seat_driver import EARLIER, Stage
from tests.support.statements import recorded_statements
from tests.support.world import World, data, refusal
from ticketing.infra.db import Database
from ticketing.infra.outbox import OutboxRow


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    return Stage(database, await world.show(rows=1, seats=4))


async def block(stage: Stage, *numbers: int, act: str = "block") -> Any:
    seats = [f"Stalls-A-{number}" for number in numbers]
    return await stage.show.tenant.admin.post(stage.show.path(f"/seats/{act}"), {"seats": seats})


async def messages(database: Database, topic: str) -> list[dict[str, Any]]:
    async with database.transaction() as session:
        query = select(OutboxRow.payload).where(OutboxRow.topic == topic).order_by(OutboxRow.id)
        return list(await session.scalars(query))


async def renew_plan(database: Database, venue_id: str) -> None:
    """Give the venue a second version of its plan, with one more seat."""
    columns = 'label, section, "row", seat, category, x, y'
    plan = "select organization_id, venue_id, 2"
    statements = (
        f"insert into seating_plans {plan}, layout from seating_plans where venue_id = :id",
        f"insert into plan_seats {plan}, number, {columns} from plan_seats where venue_id = :id",
        f"insert into plan_seats {plan}, 4, 'Stalls-A-5', {columns.removeprefix('label, ')} from plan_seats"
        " where venue_id = :id and plan_version = 1 and number = 3",
        "update venues set plan_version = 2 where id = :id",
    )
    async with database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement), {"id": venue_id})


async def test_syncing_again_changes_nothing(stage: Stage, database: Database) -> None:
    data(await block(stage, 1))
    again = data(await stage.show.tenant.admin.post(stage.show.path("/seats/sync")))
    assert again == {"seats": 4, "plan_version": 1}
    assert await stage.letters() == "baaa"
    assert len(await messages(database, "seats.synced")) == 1


async def test_a_large_plan_takes_no_more_statements_than_a_small_one(world: World, app: Any) -> None:
    counts = []
    for rows, seats in ((1, 1), (26, 100)):
        tenant = await world.tenant()
        venue = await world.venue(tenant, rows, seats)
        show = await world.show(tenant, seats=0, publish=False, venue_id=venue["id"])
        with recorded_statements(app.state.get(Database)) as statements:
            assert data(await tenant.admin.post(show.path("/seats/sync")))["seats"] == rows * seats
        counts.append(len(statements))
    assert counts[0] == counts[1]


async def test_an_event_without_a_venue_has_no_seats_to_sync(world: World) -> None:
    show = await world.show(seats=0, capacity=1)
    assert refusal(await show.tenant.admin.post(show.path("/seats/sync")), 422)["field"] == "venue_id"


async def test_blocked_seats_are_off_sale_until_they_are_unblocked(stage: Stage, database: Database) -> None:
    assert data(await block(stage, 3, 2)) == {"seats": 2}
    assert await stage.letters() == "abba"
    seats = data(await stage.show.tenant.admin.get(f"/events/{stage.show.id}/seats?status=blocked"))
    assert [seat["number"] for seat in seats] == [1, 2]
    assert data(await block(stage, 2, act="unblock")) == {"seats": 1}
    assert await stage.letters() == "aaba"
    (blocked,), (unblocked,) = await messages(database, "seats.blocked"), await messages(database, "seats.unblocked")
    assert (blocked["seat_numbers"], unblocked["seat_numbers"]) == ([1, 2], [1])


async def test_blocking_is_all_or_nothing(stage: Stage) -> None:
    await stage.take(["Stalls-A-1"])
    data(await block(stage, 2))
    error = refusal(await block(stage, 1, 2, 3), 409)
    assert (error["code"], error["seats"]) == ("seat_unavailable", ["Stalls-A-1", "Stalls-A-2"])
    error = refusal(await block(stage, 3, 9), 422)
    assert (error["code"], error["seats"]) == ("seat_unknown", ["Stalls-A-9"])
    error = refusal(await block(stage, 1, 2, act="unblock"), 409)
    assert (error["code"], error["seats"]) == ("seat_not_blocked", ["Stalls-A-1"])
    assert await stage.letters() == "hbaa"


async def test_a_lapsed_hold_does_not_prevent_blocking(stage: Stage) -> None:
    await stage.take(["Stalls-A-1"], uuid4(), EARLIER)
    data(await block(stage, 1))
    assert await stage.letters() == "baaa"


@pytest.mark.parametrize("seats", [[], ["Stalls-A-1"] * 2, ["x" * 201], [1], None, ["a"] * 10_001, ["nul\x00"]])
async def test_an_invalid_list_of_seats_is_refused(stage: Stage, seats: Any) -> None:
    error = refusal(await stage.show.tenant.admin.post(stage.show.path("/seats/block"), {"seats": seats}), 422)
    assert error["field"].partition(".")[0] == "seats"
    assert await stage.letters() == "aaaa"
