"""Hold, sell and release seats: all or nothing, one owner, and lapsed holds do not count."""

from uuid import uuid4

import pytest
from psycopg.errors import DivisionByZero

from tests.modules.events.seat_driver import EARLIER, LATER, Stage
from tests.support.world import World
from ticketing.infra.db import Database
from ticketing.modules import events


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    """One row of six seats, Stalls-A-1 to Stalls-A-6."""
    return Stage(database, await world.show(rows=1, seats=6))


def labels(*numbers: int) -> list[str]:
    return [f"Stalls-A-{number}" for number in numbers]


async def test_free_seats_are_locked_and_held(stage: Stage) -> None:
    mine = uuid4()
    taken = await stage.take(labels(5, 2), mine)
    assert taken == [events.FreeSeat(1, "Stalls", None), events.FreeSeat(4, "Stalls", None)]
    second = (await stage.seats())[1]
    assert (second.status, second.reservation_id, second.held_until, second.version) == ("h", mine, LATER, 1)
    assert await stage.letters() == "ahaaha"


async def test_held_sold_and_unknown_seats_are_not_locked_and_distinguished(stage: Stage) -> None:
    buyer, wanted = uuid4(), [*labels(3, 2, 1), "Balcony-Z-1"]
    await stage.take(labels(1), buyer)
    await stage.sell(buyer, [0])
    await stage.take(labels(2))
    async with stage.batch() as connection:
        free, lost = await stage.look(connection, wanted)
    assert free == {"Stalls-A-3": events.FreeSeat(2, "Stalls", None)}
    assert lost == {"Stalls-A-1": True, "Stalls-A-2": True}


async def test_a_lapsed_hold_is_overwritten_and_reported(stage: Stage) -> None:
    slow, mine = uuid4(), uuid4()
    await stage.take(labels(1, 2), slow, EARLIER)
    taken = await stage.take(labels(2, 3), mine)
    assert taken == [events.FreeSeat(1, "Stalls", slow), events.FreeSeat(2, "Stalls", None)]
    assert [seat.reservation_id for seat in (await stage.seats())[:3]] == [slow, mine, mine]


async def test_a_seat_locked_by_another_transaction_is_skipped(stage: Stage) -> None:
    async with stage.batch() as connection:
        assert list(await stage.lock(connection, labels(3))) == labels(3)
        async with stage.batch() as other:
            free, lost = await stage.look(other, labels(2, 3))
            assert (list(free), lost) == (labels(2), {"Stalls-A-3": False})


async def test_holding_a_seat_that_is_not_free_aborts_the_transaction(stage: Stage) -> None:
    await stage.take(labels(1))
    both = [stage.held(number, uuid4()) for number in (0, 1)]
    with pytest.raises(DivisionByZero):
        async with stage.batch() as connection:
            await events.hold_locked(connection, stage.organization_id, both)
    assert await stage.letters() == "haaaaa"


async def test_a_hold_is_extended_by_its_owner_only(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(labels(1, 2), mine, EARLIER)
    async with stage.database.transaction() as session:
        await events.extend_seats(session, *stage.place, mine, [0, 1], LATER)
    assert [seat.held_until for seat in (await stage.seats())[:2]] == [LATER, LATER]
    with pytest.raises(events.SeatsLost):
        async with stage.database.transaction() as session:
            await events.extend_seats(session, *stage.place, uuid4(), [0, 1], LATER)


async def test_selling_is_all_or_nothing(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(labels(1), mine)
    with pytest.raises(events.SeatsLost):
        await stage.sell(mine, [0, 1])
    assert await stage.letters() == "haaaaa"
    await stage.sell(mine, [0])
    first = (await stage.seats())[0]
    assert (first.status, first.reservation_id, first.held_until, first.version) == ("s", mine, None, 2)


async def test_only_seats_still_owned_are_released(stage: Stage) -> None:
    mine, other = uuid4(), uuid4()
    await stage.take(labels(1, 2, 3), mine, EARLIER)
    await stage.take(labels(2), other)
    async with stage.database.transaction() as session:
        assert await events.release_seats(session, *stage.place, mine, [2, 1, 0]) == [0, 2]
    assert await stage.letters() == "ahaaaa"
    assert [seat.version for seat in await stage.seats()] == [2, 2, 2, 0, 0, 0]


async def test_a_sold_seat_can_be_released(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(labels(4), mine)
    await stage.sell(mine, [3])
    async with stage.database.transaction() as session:
        assert await events.release_seats(session, *stage.place, mine, [3]) == [3]
    assert await stage.letters() == "aaaaaa"


async def test_a_late_payment_takes_free_lapsed_and_own_seats_again(stage: Stage) -> None:
    mine, slow = uuid4(), uuid4()
    await stage.take(labels(1, 2), mine, EARLIER)
    await stage.take(labels(2), slow, EARLIER)
    async with stage.database.transaction() as session:
        retaken = await events.retake_seats(session, *stage.place, [0, 1, 2], mine)
    assert retaken == events.Retaken([0, 1, 2], {slow})
    assert await stage.letters() == "sssaaa"
    assert {seat.reservation_id for seat in (await stage.seats())[:3]} == {mine}


async def test_a_late_payment_for_a_taken_seat_changes_nothing(stage: Stage) -> None:
    await stage.take(labels(2))
    async with stage.database.transaction() as session:
        assert await events.retake_seats(session, *stage.place, [0, 1], uuid4()) is None
        assert await events.retake_seats(session, *stage.place, [0, 99], uuid4()) is None
    assert await stage.letters() == "ahaaaa"


async def test_retaking_an_own_sold_seat_changes_nothing(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(labels(1), mine)
    await stage.sell(mine, [0])
    async with stage.database.transaction() as session:
        assert await events.retake_seats(session, *stage.place, [0], mine) == events.Retaken([], set())
    assert (await stage.seats())[0].version == 2
