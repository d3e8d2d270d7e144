"""General admission: counters that never exceed the capacity."""

from uuid import UUID, uuid4

import pytest
from psycopg.errors import DivisionByZero

from tests.modules.events.seat_driver import Stage
from tests.support.world import World, data
from ticketing.infra.db import Database
from ticketing.modules import events


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    """Ten standing places."""
    return Stage(database, await world.show(seats=0, capacity=10))


async def test_places_are_held_sold_and_released(stage: Stage) -> None:
    places = {UUID(stage.show.area_type_id): 3}
    assert await stage.take_places(places)
    assert await stage.take_places(places)
    assert await stage.counters() == (6, 0)
    async with stage.database.transaction() as session:
        await events.mark_places_sold(session, places)
    assert await stage.counters() == (3, 3)
    async with stage.database.transaction() as session:
        await events.release_places(session, places)
        await events.release_places(session, places, from_sold=True)
    assert await stage.counters() == (0, 0)


async def test_more_places_than_are_left_can_not_be_held(stage: Stage) -> None:
    ticket_type_id = UUID(stage.show.area_type_id)
    assert await stage.take_places({ticket_type_id: 8})
    async with stage.batch() as connection:
        locked = await events.lock_places(connection, stage.organization_id, [ticket_type_id])
        assert await locked.fetch() == {ticket_type_id: 2}
    with pytest.raises(DivisionByZero):
        async with stage.batch() as connection:
            await events.hold_places(connection, stage.organization_id, {ticket_type_id: 3})
    assert await stage.counters() == (8, 0)


async def test_a_type_of_another_organization_or_one_that_prices_seats_has_no_places(
    world: World, stage: Stage
) -> None:
    other = await world.show(capacity=5)
    wanted = {UUID(id) for id in (other.seat_type_id, other.area_type_id, str(uuid4()))}
    async with stage.batch() as connection:
        assert await (await events.lock_places(connection, stage.organization_id, wanted)).fetch() == {}


async def test_more_than_was_held_can_not_be_released_or_sold(stage: Stage) -> None:
    places = {UUID(stage.show.area_type_id): 1}
    for act in (events.release_places, events.mark_places_sold):
        with pytest.raises(events.PlacesLost):
            async with stage.database.transaction() as session:
                await act(session, places)


async def test_a_negative_quantity_is_a_bug(stage: Stage) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        async with stage.database.transaction() as session:
            await events.release_places(session, {UUID(stage.show.area_type_id): -1})


async def test_a_late_payment_gets_all_of_its_places_or_none(world: World, stage: Stage) -> None:
    body = {"name": "Gallery", "price": 100, "capacity": 1}
    gallery = UUID(data(await stage.show.tenant.admin.post(stage.show.path("/ticket-types"), body), 201)["id"])
    standing = UUID(stage.show.area_type_id)
    async with stage.database.transaction() as session:
        assert not await events.retake_places(session, {standing: 2, gallery: 2})
    assert await stage.counters() == (0, 0)
    async with stage.database.transaction() as session:
        assert await events.retake_places(session, {standing: 2, gallery: 1})
    assert await stage.counters() == (0, 2)
