"""Transactions that lock the same rows lock them in one order (see `events.inventory`), so none waits in a circle.

Each test but the last lets two transactions wait for the same row, in this order, and then releases it. If one of them
locked a row before that the other one needs next, PostgreSQL reports a deadlock. The last one runs everything at once.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import end_hold, order_with_payment, run
from tests.support.drain import drain
from tests.support.platform import eventually
from tests.support.world import PASSWORD, Person, Show, World, data
from ticketing import invariants
from ticketing.infra.db import Database
from ticketing.infra.log import Cause
from ticketing.modules import reservations
from ticketing.modules.reservations.hold.batch import Batch
from ticketing.modules.reservations.hold.buyers_now import HoldRules
from ticketing.modules.reservations.hold.pending import PendingHold
from ticketing.modules.reservations.hold_request import BestAvailable, HoldRequest

#: Buyers of the last test, and what each of them does one after the other.
BUYERS, ROUNDS = 6, 8

Act = Callable[[], Awaitable[Any]]


async def add_area(show: Show, name: str) -> str:
    body = {"name": name, "price": 2500, "capacity": 500}
    created: str = data(await show.tenant.admin.post(show.path("/ticket-types"), body), 201)["id"]
    return created


async def two_events(world: World) -> tuple[Show, Show, str, str]:
    """Two events of one organization, an area of the second one, and an area of the first one, in order of id."""
    first = await world.show(rows=1, seats=4, capacity=500)
    second = await world.show(first.tenant, seats=0, capacity=500)
    assert second.area_type_id
    return first, second, second.area_type_id, await add_area(first, "Balcony")


async def hold_places(world: World, buyer: Person, show: Show, type_id: str, *seats: str) -> Any:
    return await world.hold(buyer, show, *seats, items=[{"ticket_type_id": type_id, "quantity": 1}])


def wanted(buyer: Person, show: Show, *seats: str, places: Sequence[str] = (), best: int = 0) -> HoldRequest:
    """A request for these seats, one place of each of these types, or this number of the best available seats."""
    chosen = (seats, dict.fromkeys(map(UUID, places), 1), BestAvailable(best) if best else None)
    return HoldRequest(UUID(buyer.id), uuid4().hex, [b"x" * 32], UUID(show.id), *chosen)


async def hold_in_one_batch(app: FastAPI, show: Show, *requests: HoldRequest) -> None:
    """Decide these requests of one organization in one batch, as a second API process would."""
    future = asyncio.get_running_loop().create_future
    pending = [PendingHold(request, Cause.here(), future(), request.seats) for request in requests]
    async with app.state.get(Database).engine.connect() as connection:
        await Batch(connection, UUID(show.tenant.id), pending, HoldRules(1)).run()


async def sweep(app: FastAPI) -> int:
    async with app.state.worker_database.transaction() as session:
        return await reservations.expire_due(session)


async def wait_in_line(app: FastAPI, locked: str, *acts: Act) -> None:
    """Lock what `locked` locks, start the acts one after the other, each once the last one waits, and release.

    Fails when one of them fails, or when the database is left with a contradiction.
    """
    async with app.state.owner_database.transaction() as session:
        assert (await session.execute(text(locked))).all()
        tasks: list[asyncio.Future[Any]] = []
        for act in acts:
            tasks.append(asyncio.ensure_future(act()))

            async def waits() -> bool:
                waiting = await session.scalar(text("select count(distinct pid) from pg_locks where not granted"))
                return int(waiting or 0) + sum(task.done() for task in tasks) == len(tasks)

            await eventually(waits)
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
    await assert_consistent(app)


async def assert_consistent(app: FastAPI) -> None:
    await drain(app)
    async with app.state.worker_database.transaction() as session:
        assert [(v.invariant.name, v.offenders) for v in await invariants.check(session) if v.count] == []


def of_type(type_id: str) -> str:
    return f"select from ticket_types where id = '{type_id}' for update"


def of_seat(show: Show, label: str) -> str:
    return f"select from event_seats where event_id = '{show.id}' and label = '{label}' for update"


async def test_a_sweep_and_a_batch_of_two_events(app: FastAPI, world: World) -> None:
    first, second, low, high = await two_events(world)
    buyer = await world.person()
    for held in (await hold_places(world, buyer, first, high), await hold_places(world, buyer, second, low)):
        await end_hold(app, held["id"], -1)
    requests = [wanted(buyer, first, places=[high]), wanted(buyer, second, places=[low])]
    await wait_in_line(app, of_type(high), lambda: sweep(app), lambda: hold_in_one_batch(app, first, *requests))


async def test_an_erasure_and_a_batch_of_two_events(app: FastAPI, world: World) -> None:
    first, second, low, high = await two_events(world)
    buyer, leaving = await world.person(), await world.person()
    await hold_places(world, leaving, first, high)
    await hold_places(world, leaving, second, low)
    requests = [wanted(buyer, first, places=[high]), wanted(buyer, second, places=[low])]

    async def erase() -> None:
        data(await leaving.post("/me/erase", {"password": PASSWORD}))

    await wait_in_line(app, of_type(high), erase, lambda: hold_in_one_batch(app, first, *requests))


async def test_a_late_sale_that_expires_other_holds_and_a_sale(app: FastAPI, world: World) -> None:
    show, _, _, high = await two_events(world)
    low = show.area_type_id
    assert low
    _, order, late = await order_with_payment(world, show, items=[{"ticket_type_id": low, "quantity": 1}])
    await end_hold(app, order["reservation_id"], -1)
    await sweep(app)
    lapsed = await hold_places(world, await world.person(), show, high)
    both = [{"ticket_type_id": type_id, "quantity": 1} for type_id in (low, high)]
    payment = (await order_with_payment(world, show, items=both))[2]
    await end_hold(app, lapsed["id"], -1)

    async def pay(payment: Any) -> None:
        data(await world.webhook("payment.succeeded", payment))

    await wait_in_line(app, of_type(high), lambda: pay(late), lambda: pay(payment))


async def test_a_late_sale_of_a_seat_that_another_hold_had_and_staff_who_block_it(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    _, order, late = await order_with_payment(world, show, "Stalls-A-2")
    await end_hold(app, order["reservation_id"], -1)
    await sweep(app)
    lapsed = await world.hold(await world.person(), show, "Stalls-A-1", "Stalls-A-2")
    await end_hold(app, lapsed["id"], -1)

    async def pay() -> None:
        assert (await world.webhook("payment.succeeded", late)).status_code in (200, 409)

    async def block() -> None:
        answer = await show.tenant.admin.post(show.path("/seats/block"), {"seats": show.labels})
        assert answer.status_code in (200, 409)

    await wait_in_line(app, of_seat(show, "Stalls-A-2"), pay, block)


async def test_two_batches_that_overtake_one_lapsed_hold(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4)
    buyers = [await world.person() for _ in range(3)]
    lapsed = await world.hold(buyers[0], show, "Stalls-A-1", "Stalls-A-2")
    await end_hold(app, lapsed["id"], -1)
    batches = [(wanted(buyers[n], show, f"Stalls-A-{n}"), wanted(buyers[0], show, best=1)) for n in (1, 2)]
    lock_best = f"select pg_advisory_xact_lock(hashtextextended('best of {show.id}', 0))"
    await wait_in_line(app, lock_best, *(partial(hold_in_one_batch, app, show, *batch) for batch in batches))


async def test_a_batch_that_overtakes_a_lapsed_hold_with_places_and_a_sale(app: FastAPI, world: World) -> None:
    show, _, _, high = await two_events(world)
    low = show.area_type_id
    assert low
    lapsed = await hold_places(world, await world.person(), show, low, "Stalls-A-1")
    both = [{"ticket_type_id": type_id, "quantity": 1} for type_id in (low, high)]
    buyer, payment = await world.person(), (await order_with_payment(world, show, items=both))[2]
    await end_hold(app, lapsed["id"], -1)

    async def pay() -> None:
        data(await world.webhook("payment.succeeded", payment))

    overtake = wanted(buyer, show, "Stalls-A-1", places=[high])
    await wait_in_line(app, of_type(high), lambda: hold_in_one_batch(app, show, overtake), pay)


async def test_a_new_plan_and_a_sweep(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    lapsed = await world.hold(await world.person(), show, *show.labels)
    await end_hold(app, lapsed["id"], -1)
    # Its row moves behind the other one, and a scan of the table finds it last.
    await run(app, "update event_seats set version = version + 1 where label = 'Stalls-A-1'")
    await run(app, "update venues set plan_version = 2")

    async def sync() -> None:
        assert (await show.tenant.admin.post(show.path("/seats/sync"))).status_code in (200, 409)

    await wait_in_line(app, of_seat(show, "Stalls-A-2"), sync, lambda: sweep(app))


class Rush:
    """Buyers, staff, sweeps and erasures on two events of one organization. No request may fail as a server error."""

    def __init__(self, app: FastAPI, world: World, areas: dict[str, list[str]], *shows: Show) -> None:
        self.app, self.world, self.areas, self.shows = app, world, areas, shows
        self.is_over = False

    async def request(self, answer: Awaitable[Any], *statuses: int) -> Any:
        response = await answer
        assert response.status_code in (200, 201, 409, *statuses), f"{response.request.url}: {response.text}"
        return response.json()["data"] if response.status_code < 300 else None

    async def hold(self, buyer: Person, choose: random.Random) -> Any:
        show = choose.choice(self.shows)
        body: dict[str, Any] = {"event_id": show.id}
        if choose.random() < 0.2:
            body["best_available"] = {"quantity": 2}
        else:
            areas = choose.sample(self.areas[show.id], choose.randint(0, 2))
            body["items"] = [{"ticket_type_id": area, "quantity": 1} for area in areas]
            body["seats"] = choose.sample(show.labels, 2)
        return await self.request(buyer.post("/reservations", body))

    async def lapse(self, held: dict[str, Any]) -> None:
        async with self.app.state.owner_database.transaction() as session:
            for statement in (
                "update reservations set expires_at = now() - interval '1s' where id = :id and status = 'active'",
                "select from event_seats where reservation_id = :id order by number for update",
                "update event_seats set held_until = now() - interval '1s' where reservation_id = :id and status = 'h'",
            ):
                await session.execute(text(statement), {"id": held["id"]})

    async def buy(self, buyer: Person, held: dict[str, Any], choose: random.Random) -> None:
        order = await self.request(
            buyer.post("/orders", {"reservation_id": held["id"], "buyer": {"email": buyer.email, "name": "Ada Byron"}})
        )
        payment = order and await self.request(buyer.post("/payments", {"order_id": order["id"], "provider": "mock"}))
        if not payment:
            return
        if choose.random() < 0.5:
            await self.lapse(held)
            if choose.random() < 0.5:
                await sweep(self.app)
        if await self.request(self.world.webhook("payment.succeeded", payment)) is not None and choose.random() < 0.5:
            staff = self.shows[0].tenant.admin
            await self.request(staff.post(f"/orders/{order['id']}/refunds", {"reason": "they asked"}))

    async def visit(self, seed: int) -> None:
        choose, buyer = random.Random(seed), await self.world.person()
        for _ in range(ROUNDS):
            if not (held := await self.hold(buyer, choose)):
                continue
            act = choose.random()
            if act < 0.2:
                await self.request(buyer.delete(f"/reservations/{held['id']}"))
            elif act < 0.4:
                await self.lapse(held)
            else:
                await self.buy(buyer, held, choose)

    async def leave(self, seed: int) -> None:
        choose = random.Random(seed)
        for _ in range(ROUNDS // 3):
            person = await self.world.person()
            for _ in range(3):
                await self.hold(person, choose)
            await self.request(person.post("/me/erase", {"password": PASSWORD, "give_up_tickets": True}))

    async def manage(self, seed: int) -> None:
        choose = random.Random(seed)
        while not self.is_over:
            show = choose.choice(self.shows)
            await sweep(self.app)
            seats = choose.sample(show.labels, 3)
            if await self.request(show.tenant.admin.post(show.path("/seats/block"), {"seats": seats})):
                await self.request(show.tenant.admin.post(show.path("/seats/unblock"), {"seats": seats}))


async def test_everything_at_once(app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deadlocks: list[object] = []
    monkeypatch.setattr(psycopg.errors.DeadlockDetected, "__init__", lambda *args, **_: deadlocks.append(args))
    first = await world.show(rows=1, seats=8, capacity=500)
    second = await world.show(first.tenant, rows=1, seats=8, capacity=500)
    areas = {second.id: [second.area_type_id, await add_area(second, "Balcony")]}
    areas[first.id] = [first.area_type_id, await add_area(first, "Balcony")]
    rush = Rush(app, world, areas, first, second)
    staff = asyncio.ensure_future(rush.manage(0))
    try:
        await asyncio.gather(*map(rush.visit, range(BUYERS)), rush.leave(BUYERS))
    finally:
        rush.is_over = True
        await staff
    assert deadlocks == []
    await assert_consistent(app)
