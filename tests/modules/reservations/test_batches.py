"""Batches of holds: a failing, cancelled or flooding request does not harm the others, and a shutdown loses nothing."""

import asyncio
from collections import Counter
from json import loads
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.modules.events.test_best_seats import query_runner
from tests.support.world import Person, Show, World, data, refusal
from ticketing import invariants
from ticketing.infra.errors import Overloaded, Unavailable
from ticketing.infra.group_commit import GroupCommit, fair_queue
from ticketing.infra.group_commit.failures import client_error
from ticketing.modules import events, reservations
from ticketing.modules.reservations.hold.batch import Batch
from ticketing.modules.reservations.hold.batcher import Holds
from ticketing.modules.reservations.hold.pending import HoldResponse
from ticketing.modules.reservations.hold_request import BestAvailable, HoldRequest


def request_of(show: Show, buyer: Person, *seats: str, key: str = "") -> HoldRequest:
    return HoldRequest(UUID(buyer.id), key or uuid4().hex, [b"x" * 32], UUID(show.id), seats)


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the batches, in order."""
    seen: list[int] = []
    run = Batch.run

    async def counted(batch: Batch) -> None:
        seen.append(len(batch._holds))
        await run(batch)

    monkeypatch.setattr(Batch, "run", counted)
    return seen


async def clean(app: FastAPI) -> bool:
    async with app.state.worker_database.transaction() as session:
        broken = [(v.invariant.name, v.offenders) for v in await invariants.check(session) if v.count]
    assert broken == []
    return True


async def count(app: FastAPI, query: str) -> Any:
    async with app.state.worker_database.transaction() as session:
        return await session.scalar(text(query))


async def submit_all(holds: reservations.Holds, requests: list[HoldRequest]) -> list[Any]:
    return await asyncio.gather(*map(holds.submit, requests), return_exceptions=True)


async def test_requests_that_arrive_together_are_decided_together(app: FastAPI, world: World, sizes: list[int]) -> None:
    show, buyer = await world.show(seats=60, rows=1, max_per_order=60), await world.person()
    answers = await submit_all(app.state.get(Holds), [request_of(show, buyer, label) for label in show.labels])
    assert Counter(answer.status for answer in answers) == {201: 60}
    assert sum(sizes) == 60
    assert len(sizes) <= 10, "the first requests alone, the others together with those that arrived during a commit"
    assert await clean(app)


async def test_the_first_request_gets_the_seat(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    wanted = [request_of(show, buyer, "Stalls-A-1") for _ in range(20)]
    answers = await submit_all(app.state.get(Holds), wanted)
    assert [answer.status for answer in answers] == [201] + [409] * 19


async def test_a_batch_that_fails_is_retried_one_by_one(app: FastAPI, world: World) -> None:
    """A buyer without an account violates a foreign key, among nine with one."""
    show, buyer, unknown = await world.show(seats=10, rows=1), await world.person(), uuid4()
    wanted = [request_of(show, buyer, label) for label in show.labels]
    wanted[4] = HoldRequest(unknown, "key", [b"x" * 32], UUID(show.id), (show.labels[4],))
    answers = await submit_all(app.state.get(Holds), wanted)
    assert [a.status if isinstance(a, HoldResponse) else type(a).__name__ for a in answers] == (
        [201] * 4 + ["ForeignKeyViolation"] + [201] * 5
    )
    assert await count(app, "select count(*) from event_seats where status = 'h'") == 9
    assert await clean(app)


async def test_a_cancelled_request_holds_everything_or_nothing(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=40, rows=1), await world.person()
    pairs = [show.labels[n : n + 2] for n in range(0, 40, 2)]
    tasks = [asyncio.create_task(app.state.get(Holds).submit(request_of(show, buyer, *pair))) for pair in pairs]
    for number, task in enumerate(tasks):
        await asyncio.sleep(0)
        if number % 2:
            task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {r.status for r in results if isinstance(r, HoldResponse)} == {201}
    await app.state.get(GroupCommit).close()
    held = await count(app, "select count(*) from event_seats where status = 'h'")
    assert held == 2 * await count(app, "select count(*) from reservations")
    assert await clean(app)


async def test_a_full_queue_says_so_at_once_and_serves_who_was_there(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    show, buyer = await world.show(seats=12, rows=1), await world.person()
    await app.state.get(Holds).submit(
        request_of(show, buyer, show.labels[0])
    )  # the event's owner is known from here on
    monkeypatch.setattr(fair_queue, "PENDING_OF_SUBJECT_MAX", 5)
    answers = await submit_all(app.state.get(Holds), [request_of(show, buyer, label) for label in show.labels[1:]])
    assert [a.status if isinstance(a, HoldResponse) else type(a) for a in answers] == [201] * 5 + [Overloaded] * 6
    body = {"event_id": show.id, "seats": [show.labels[-1]]}
    monkeypatch.setattr(fair_queue, "PENDING_MAX", 0)
    refused = await buyer.post("/reservations", body)
    assert (refusal(refused, 503)["code"], refused.headers["Retry-After"]) == ("overloaded", "1")
    assert await count(app, "select count(*) from idempotency_keys where status >= 500") == 0


async def test_closing_refuses_new_requests_and_decides_the_pending_ones(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=12, rows=1), await world.person()
    await app.state.get(Holds).submit(request_of(show, buyer, show.labels[0]))
    tasks = [
        asyncio.create_task(app.state.get(Holds).submit(request_of(show, buyer, label))) for label in show.labels[1:]
    ]
    await asyncio.sleep(0)
    await app.state.get(GroupCommit).close()
    assert {task.result().status for task in tasks if task.done()} == {201}
    assert all(task.done() for task in tasks)
    with pytest.raises(Overloaded):
        await app.state.get(Holds).submit(request_of(show, buyer, show.labels[0]))


async def test_concurrent_requests_with_one_key_are_in_flight_or_replayed(world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    body, key = {"event_id": show.id, "seats": ["Stalls-A-1"]}, uuid4().hex
    answers = await asyncio.gather(*[buyer.post("/reservations", body, key=key) for _ in range(10)])
    codes = Counter(refusal(a, 409)["code"] if a.status_code == 409 else a.status_code for a in answers)
    assert set(codes) <= {201, "idempotency_in_flight"}
    again = await buyer.post("/reservations", body, key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert {data(a, 201)["id"] for a in answers if a.status_code == 201} == {data(again, 201)["id"]}


async def test_a_locked_seat_is_retried_and_then_contended(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    async with app.state.owner_database.engine.begin() as connection:
        await connection.execute(text("select from event_seats where label = 'Stalls-A-1' for update"))
        refused = await buyer.post("/reservations", body, key="k")
    assert (refusal(refused, 409)["code"], refused.headers["Retry-After"]) == ("seat_contended", "1")
    assert data(await buyer.post("/reservations", body, key="k"), 201), "the refusal was not stored for the key"


async def test_two_buyers_of_the_best_available_never_get_the_same_seats(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=10, rows=2), await world.person()
    best = BestAvailable(2)
    wanted = [
        HoldRequest(UUID(buyer.id), uuid4().hex, [b"x" * 32], UUID(show.id), best_available=best) for _ in range(12)
    ]
    answers = await submit_all(app.state.get(Holds), wanted)
    assert Counter(answer.status for answer in answers) == {201: 10, 409: 2}
    assert {answer.outcome for answer in answers} == {"held", "sold_out"}
    assert await clean(app)


async def test_each_of_64_groups_in_one_batch_gets_the_best_of_the_rest(
    app: FastAPI, world: World, sizes: list[int]
) -> None:
    show, buyer = await world.show(seats=24, rows=12), await world.person()
    quantities = [2 + n % 5 for n in range(64)]
    wanted = [
        HoldRequest(UUID(buyer.id), uuid4().hex, [b"x" * 32], UUID(show.id), best_available=BestAvailable(quantity))
        for quantity in quantities
    ]
    async with query_runner(app.state.worker_database) as run_query:
        free = (await events.read_free_seats(run_query, UUID(show.tenant.id), {UUID(show.id): ()}))[UUID(show.id)]
    answers = await submit_all(app.state.get(Holds), wanted)
    assert max(sizes) == 64
    for quantity, answer in zip(quantities, answers, strict=True):
        expected = free.choose(quantity)
        free.take(expected)
        assert [item["seat"] for item in loads(answer.body)["data"]["items"]] == [*map(free.label, expected)]
    assert await clean(app)


async def test_a_connection_lost_between_read_and_write_is_a_503(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the connection between reading and writing: nothing is held, and a retry succeeds."""
    show, buyer = await world.show(seats=6, rows=1), await world.person()
    write = Batch._write

    async def cut(batch: Batch, holds: Any) -> None:
        async with app.state.owner_database.transaction() as session:
            pid = batch._driver.info.backend_pid
            await session.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
        await asyncio.sleep(0.1)
        await write(batch, holds)

    monkeypatch.setattr(Batch, "_write", cut)
    with pytest.raises(Unavailable):
        await app.state.get(Holds).submit(request_of(show, buyer, show.labels[0], key="k"))
    monkeypatch.setattr(Batch, "_write", write)
    assert await count(app, "select count(*) from event_seats where status = 'h'") == 0
    assert (await app.state.get(Holds).submit(request_of(show, buyer, show.labels[0], key="k"))).status == 201


@pytest.mark.parametrize("full", [psycopg.errors.DiskFull(), OperationalError("insert", {}, psycopg.errors.DiskFull())])
def test_a_full_disk_is_unavailable_with_or_without_sqlalchemy(full: Exception) -> None:
    assert isinstance(client_error(full), Unavailable)
    assert not isinstance(client_error(RuntimeError()), Unavailable)
