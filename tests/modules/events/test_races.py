"""Concurrent transactions on the same seats: real commits on real connections."""

import asyncio
import random
from collections import Counter
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from tests.modules.events.seat_driver import EARLIER, Stage
from tests.support.world import World
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules import events


@pytest.fixture
async def stage(world: World, settings: Settings) -> Stage:
    """Two rows of ten seats and fifty standing places, with a connection for every buyer."""
    database = Database(settings.model_copy(update={"database_pool_size": 50}), url=settings.worker_database_url)
    show = await world.show(rows=2, seats=10, capacity=50)
    yield Stage(database, show)
    await database.close()


async def try_to_take(stage: Stage, labels: list[str]) -> tuple[UUID, list[int]] | None:
    reservation_id = uuid4()
    taken = await stage.take(labels, reservation_id)
    return taken and (reservation_id, [seat.number for seat in taken])


async def test_fifty_buyers_want_one_seat_and_one_gets_it(stage: Stage) -> None:
    results = await asyncio.gather(*(try_to_take(stage, ["Stalls-A-1"]) for _ in range(50)))
    winners = [result for result in results if result]
    assert len(winners) == 1
    first = (await stage.seats())[0]
    assert (first.status, first.reservation_id, first.version) == ("h", winners[0][0], 1)


async def test_overlapping_requests_are_never_granted_partially(stage: Stage) -> None:
    choose = random.Random(7)
    wishes = [choose.sample(stage.show.labels, 4) for _ in range(50)]
    results = await asyncio.gather(*(try_to_take(stage, wish) for wish in wishes))
    owners = Counter(seat.reservation_id for seat in await stage.seats() if seat.status == "h")
    winners = dict(result for result in results if result)
    assert winners, "some buyer wins"
    assert owners == {reservation_id: 4 for reservation_id in winners}
    taken = [number for numbers in winners.values() for number in numbers]
    assert len(taken) == len(set(taken))


async def test_fifty_buyers_want_a_seat_with_a_lapsed_hold_and_one_gets_it(stage: Stage) -> None:
    slow = uuid4()
    await stage.take(["Stalls-A-1"], slow, EARLIER)
    results = await asyncio.gather(*(try_to_take(stage, ["Stalls-A-1"]) for _ in range(50)))
    assert len([result for result in results if result]) == 1


async def test_a_late_payment_and_a_new_buyer_never_both_get_the_seat(stage: Stage) -> None:
    async def retake(late: UUID, number: int) -> bool:
        async with stage.database.transaction() as session:
            return await events.retake_seats(session, *stage.place, [number], late) is not None

    for number, label in enumerate(stage.show.labels):
        late = uuid4()
        await stage.take([label], late, EARLIER)
        retaken, taken = await asyncio.gather(retake(late, number), try_to_take(stage, [label]))
        assert retaken != bool(taken)
        owner = (await stage.seats())[number].reservation_id
        assert owner == (late if retaken else taken[0])


async def test_sixty_buyers_want_fifty_places_and_fifty_get_them(stage: Stage) -> None:
    ticket_type_id = UUID(stage.show.area_type_id)

    results = await asyncio.gather(*(stage.take_places({ticket_type_id: 1}) for _ in range(60)))
    assert Counter(results) == {True: 50, False: 10}
    assert await stage.counters() == (50, 0)


@pytest.mark.parametrize(
    "change",
    [
        "status = 's', reservation_id = gen_random_uuid(), held_until = null",
        "status = 'h', reservation_id = gen_random_uuid(), held_until = now() + interval '1 hour'",
        "reservation_id = gen_random_uuid()",
    ],
)
@pytest.mark.parametrize("is_sold", [True, False])
async def test_the_database_refuses_a_second_owner_whatever_the_sql(stage: Stage, change: str, is_sold: bool) -> None:
    mine = uuid4()
    await stage.take(["Stalls-A-1"], mine)
    if is_sold:
        await stage.sell(mine, [0])
    with pytest.raises(IntegrityError, match="belongs to reservation"):
        async with stage.database.transaction() as session:
            await session.execute(text(f"update event_seats set {change} where number = 0"))
    assert (await stage.seats())[0].reservation_id == mine


async def test_the_database_refuses_to_turn_a_sold_seat_into_a_held_one(stage: Stage) -> None:
    mine = uuid4()
    await stage.take(["Stalls-A-1"], mine)
    await stage.sell(mine, [0])
    with pytest.raises(IntegrityError):
        async with stage.database.transaction() as session:
            await session.execute(text("update event_seats set status = 'h', held_until = now() where number = 0"))


async def test_the_database_refuses_more_places_than_there_are(stage: Stage) -> None:
    with pytest.raises(IntegrityError, match="ck_ticket_types_capacity"):
        async with stage.database.transaction() as session:
            await session.execute(text("update ticket_types set held = 51 where capacity = 50"))
