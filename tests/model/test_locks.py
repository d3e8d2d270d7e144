"""Lock order and skipped locks: no deadlocks, and no waiting for work that another transaction does."""

import asyncio
from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import end_hold, order_with_payment, rows
from tests.support.platform import eventually
from tests.support.world import Show, World, data, refusal
from ticketing.infra.http.idempotency import LOCK_OF_KEY
from ticketing.modules import events, reservations

PATIENCE_SECONDS = 5


async def test_a_sweep_leaves_a_seat_with_another_holder(app: FastAPI, world: World) -> None:
    show, first, second = await world.show(seats=2, rows=1), await world.person(), await world.person()
    lapsed = await world.hold(first, show, "Stalls-A-1")
    await end_hold(app, lapsed["id"], -1)
    held = await world.hold(second, show, "Stalls-A-1")
    place = (await rows(app, "select organization_id, event_id, number from event_seats where status = 'h'"))[0]
    async with app.state.worker_database.transaction() as session:
        await events.release_held(session, [events.HeldSeat(*place, lapsed["id"])])
    owners = await rows(app, "select reservation_id::text from event_seats where status = 'h'")
    assert [owner for (owner,) in owners] == [held["id"]]


async def test_a_sweep_skips_a_locked_reservation(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    held = [await world.hold(buyer, show, label) for label in show.labels]
    for reservation in held:
        await end_hold(app, reservation["id"], -1)
    async with app.state.owner_database.transaction() as at_work:
        lock = text("select from reservations where id = cast(:id as uuid) for update")
        await at_work.execute(lock, {"id": held[0]["id"]})
        async with asyncio.timeout(PATIENCE_SECONDS), app.state.worker_database.transaction() as session:
            assert await reservations.expire_due(session) == 1
    left = await rows(app, "select id::text from reservations where status = 'active'")
    assert [name for (name,) in left] == [held[0]["id"]]


async def test_orders_of_the_same_two_types_never_deadlock(app: FastAPI, world: World) -> None:
    """Both wait for their first counter when the counters become free: in different orders they would deadlock."""
    show = await world.show(seats=0, capacity=10)
    balcony = {"name": "Balcony", "price": 100, "capacity": 10}
    types = [show.area_type_id, data(await show.tenant.admin.post(show.path("/ticket-types"), balcony), 201)["id"]]
    payments = [await _one_of_each(world, show, types), await _one_of_each(world, show, types[::-1])]
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("select from ticket_types for update"))
        webhooks = [asyncio.ensure_future(world.webhook("payment.succeeded", payment)) for payment in payments]

        async def both_wait() -> bool:
            waiting = await session.scalar(text("select count(distinct pid) from pg_locks where not granted"))
            return int(waiting or 0) == len(webhooks)

        await eventually(both_wait)
    for answer in await asyncio.gather(*webhooks):
        assert answer.status_code == 200


async def _one_of_each(world: World, show: Show, type_ids: list[Any]) -> Any:
    items = [{"ticket_type_id": type_id, "quantity": 1} for type_id in type_ids]
    return (await order_with_payment(world, show, items=items))[2]


async def test_a_key_locked_elsewhere_holds_nothing(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    claim = text(f"select pg_advisory_xact_lock({LOCK_OF_KEY}) from (values (:caller, :key)) as w (caller, key)")
    async with app.state.owner_database.transaction() as elsewhere:
        await elsewhere.execute(claim, {"caller": f"user:{buyer.id}", "key": "one"})
        answer = await buyer.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]}, key="one")
        assert refusal(answer, 409)["code"] == "idempotency_in_flight"
    assert await rows(app, "select from reservations") == []
