"""Holding, selling and giving back seats: all or nothing, one owner, and no lapsed hold in anybody's way."""

from uuid import uuid4

import pytest

from tests.events.stage import EARLIER, LATER, Stage
from tests.world import World
from ticketing.infra.db import Database
from ticketing.modules import events


@pytest.fixture
async def stage(world: World, database: Database) -> Stage:
    """One row of six seats, Stalls-A-1 to Stalls-A-6."""
    return Stage(database, await world.show(rows=1, seats=6))


def labels(*numbers: int) -> list[str]:
    return [f"Stalls-A-{number}" for number in numbers]


async def test_seats_are_taken_in_the_order_of_the_request(stage: Stage) -> None:
    mine = uuid4()
    taken = await stage.take(labels(5, 2), mine)
    assert [(s.number, s.label, s.category) for s in taken.seats] == [
        (4, "Stalls-A-5", "Stalls"),
        (1, "Stalls-A-2", "Stalls"),
    ]
    assert taken.lapsed == set()
    second = (await stage.seats())[1]
    assert (second.status, second.reservation_id, second.held_until, second.version) == ("h", mine, LATER, 1)
    assert await stage.letters() == "ahaaha"


async def test_an_unknown_seat_is_named_and_nothing_is_taken(stage: Stage) -> None:
    with pytest.raises(events.SeatUnknown) as refused:
        await stage.take(["Stalls-A-1", "Balcony-Z-1", "Stalls-A-7"])
    assert refused.value.details["seats"] == ["Balcony-Z-1", "Stalls-A-7"]
    assert await stage.letters() == "aaaaaa"


async def test_a_held_and_a_sold_seat_are_named_and_nothing_is_taken(stage: Stage) -> None:
    buyer = uuid4()
    await stage.take(labels(1), buyer)
    await stage.sell(buyer, [0])
    await stage.take(labels(2))
    with pytest.raises(events.SeatTaken) as refused:
        await stage.take(labels(3, 2, 1))
    assert refused.value.as_entry()["seats"] == labels(1, 2)
    assert refused.value.code == "seat_unavailable"
    assert await stage.letters() == "shaaaa"


async def test_a_hold_that_has_run_out_is_overwritten_and_reported(stage: Stage) -> None:
    slow, mine = uuid4(), uuid4()
    await stage.take(labels(1, 2), slow, EARLIER)
    taken = await stage.take(labels(2, 3), mine)
    assert taken.lapsed == {slow}
    assert [seat.reservation_id for seat in (await stage.seats())[:3]] == [slow, mine, mine]


async def test_a_seat_that_another_transaction_has_locked_is_contended(stage: Stage) -> None:
    async with stage.database.transaction() as session:
        event = await events.get_event(session, stage.event_id)
        await events.take_seats(session, event, labels(3), uuid4(), LATER)
        with pytest.raises(events.SeatContended) as refused:
            await stage.take(labels(2, 3))
    assert refused.value.details["seats"] == labels(3)
    assert await stage.letters() == "aahaaa"


async def test_a_taken_seat_counts_before_a_contended_one(stage: Stage) -> None:
    await stage.take(labels(1))
    async with stage.database.transaction() as session:
        event = await events.get_event(session, stage.event_id)
        await events.take_seats(session, event, labels(3), uuid4(), LATER)
        with pytest.raises(events.SeatTaken) as refused:
            await stage.take(labels(1, 3))
    assert refused.value.details["seats"] == labels(1)


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


async def test_only_what_is_still_owned_is_given_back(stage: Stage) -> None:
    mine, other = uuid4(), uuid4()
    await stage.take(labels(1, 2, 3), mine, EARLIER)
    await stage.take(labels(2), other)
    async with stage.database.transaction() as session:
        assert await events.release_seats(session, *stage.place, mine, [2, 1, 0]) == [0, 2]
    assert await stage.letters() == "ahaaaa"
    assert [seat.version for seat in await stage.seats()] == [2, 2, 2, 0, 0, 0]


async def test_a_sold_seat_can_be_given_back_too(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(labels(4), mine)
    await stage.sell(mine, [3])
    async with stage.database.transaction() as session:
        assert await events.release_seats(session, *stage.place, mine, [3]) == [3]
    assert await stage.letters() == "aaaaaa"


async def test_late_money_takes_free_lapsed_and_own_seats_again(stage: Stage) -> None:
    mine, slow = uuid4(), uuid4()
    await stage.take(labels(1, 2), mine, EARLIER)
    await stage.take(labels(2), slow, EARLIER)
    async with stage.database.transaction() as session:
        retaken = await events.retake_seats(session, *stage.place, [0, 1, 2], mine)
    assert retaken == events.Retaken([0, 1, 2], {slow})
    assert await stage.letters() == "sssaaa"
    assert {seat.reservation_id for seat in (await stage.seats())[:3]} == {mine}


async def test_late_money_for_a_seat_of_somebody_else_changes_nothing(stage: Stage) -> None:
    await stage.take(labels(2))
    async with stage.database.transaction() as session:
        assert await events.retake_seats(session, *stage.place, [0, 1], uuid4()) is None
        assert await events.retake_seats(session, *stage.place, [0, 99], uuid4()) is None
    assert await stage.letters() == "ahaaaa"


async def test_retaking_what_is_sold_to_us_already_changes_nothing(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(labels(1), mine)
    await stage.sell(mine, [0])
    async with stage.database.transaction() as session:
        assert await events.retake_seats(session, *stage.place, [0], mine) == events.Retaken([], set())
    assert (await stage.seats())[0].version == 2
