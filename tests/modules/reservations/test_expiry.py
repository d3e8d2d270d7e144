"""The expiry sweep: in sets, concurrently, and past a row that can't be expired."""

import asyncio

from fastapi import FastAPI
from sqlalchemy import text

from tests.support.platform import assert_taken_over_in_time
from tests.support.world import Show, World, data
from ticketing.infra.config import Settings
from ticketing.modules import reservations
from ticketing.workers.scheduler import JOBS, run_job


async def let_lapse(app: FastAPI, where: str = "true") -> None:
    async with app.state.worker_database.transaction() as session:
        await session.execute(text(f"update reservations set expires_at = now() - interval '1 s' where {where}"))
        await session.execute(
            text("""update event_seats s set held_until = r.expires_at from reservations r
                     where r.id = s.reservation_id and s.status = 'h'""")
        )


async def hold_every_seat(world: World, show: Show) -> list[str]:
    """Hold every seat of the show, one by one; returns the reservations' ids."""
    buyer = await world.person()
    return [(await world.hold(buyer, show, label))["id"] for label in show.labels]


async def count(app: FastAPI, query: str) -> int:
    async with app.state.worker_database.transaction() as session:
        return int(await session.scalar(text(query)) or 0)


async def test_the_sweep_releases_seats_and_publishes_messages(app: FastAPI, world: World, settings: Settings) -> None:
    show = await world.show(seats=6, rows=1, capacity=10)
    await hold_every_seat(world, show)
    items = [{"ticket_type_id": show.area_type_id, "quantity": 4}]
    await world.hold(await world.person(), show, items=items)
    await let_lapse(app)
    job, _ = JOBS["expire_reservations"]
    assert await run_job("expire_reservations", job, settings, app.state.worker_database) == 7
    assert await count(app, "select count(*) from event_seats where status = 'a' and reservation_id is null") == 6
    assert await count(app, "select held from ticket_types where capacity is not null") == 0
    assert await count(app, "select count(*) from outbox where topic = 'reservation.expired'") == 7
    assert await count(app, "select count(*) from reservations where status = 'expired' and ended_at is not null") == 7


async def test_active_holds_are_not_swept(app: FastAPI, world: World) -> None:
    show = await world.show(seats=4, rows=1)
    kept = (await hold_every_seat(world, show))[0]
    await let_lapse(app, f"id <> '{kept}'")
    async with app.state.worker_database.transaction() as session:
        assert await reservations.expire_due(session) == 3
    assert await count(app, "select count(*) from event_seats where status = 'h'") == 1


async def test_concurrent_sweeps_share_the_work_and_expire_once(app: FastAPI, world: World) -> None:
    show = await world.show(seats=10, rows=1)
    await hold_every_seat(world, show)
    await let_lapse(app)

    async def sweep() -> int:
        async with app.state.worker_database.transaction() as session:
            return await reservations.expire_due(session, limit=5)

    assert sum(await asyncio.gather(sweep(), sweep(), sweep(), sweep())) == 10
    assert await count(app, "select count(*) from outbox where topic = 'reservation.expired'") == 10


async def test_one_bad_row_never_blocks_the_others(app: FastAPI, world: World, settings: Settings) -> None:
    show = await world.show(seats=4, rows=1, capacity=5)
    await hold_every_seat(world, show)
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    bad = await world.hold(await world.person(), show, items=items)
    async with app.state.worker_database.transaction() as session:  # a counter that is too low because of a bug
        await session.execute(text("update ticket_types set held = 0 where capacity is not null"))
    await let_lapse(app)
    job, _ = JOBS["expire_reservations"]
    assert await run_job("expire_reservations", job, settings, app.state.worker_database) == 4
    assert await count(app, "select count(*) from reservations where status = 'active'") == 1
    assert await count(app, f"select count(*) from reservations where status = 'active' and id = '{bad['id']}'") == 1


async def test_a_hold_and_the_sweep_at_once_end_consistently(app: FastAPI, world: World) -> None:
    """Each seat has one owner in the end, in either order."""
    show = await world.show(seats=8, rows=1)
    await hold_every_seat(world, show)
    await let_lapse(app)
    buyers = await asyncio.gather(*[world.person() for _ in range(8)])

    async def sweep() -> int:
        async with app.state.worker_database.transaction() as session:
            return await reservations.expire_due(session)

    async def take(n: int) -> str:
        held = await buyers[n].post("/reservations", {"event_id": show.id, "seats": [show.labels[n]]})
        return str(data(held, 201)["id"]) if held.status_code == 201 else ""

    *won, _ = await asyncio.gather(*[take(n) for n in range(8)], sweep())
    assert await count(app, "select count(*) from event_seats where status = 'h'") == sum(map(bool, won))
    async with app.state.worker_database.transaction() as session:
        query = text("""select count(*) from event_seats s join reservations r on r.id = s.reservation_id
                         where s.status = 'h' and r.status <> 'active'""")
        assert await session.scalar(query) == 0


async def test_a_lapsed_seat_is_available_within_a_second_without_the_scheduler(world: World) -> None:
    show, buyer = await world.show(seats=2, rows=1, hold_seconds=5), await world.person()
    next_buyer = await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    await assert_taken_over_in_time(next_buyer, held)
