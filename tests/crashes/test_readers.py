"""A reader of the log dies between effect and cursor: its successor reads again, and no effect happens twice."""

import asyncio
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from tests.crashes.processes import Processes
from tests.modules.payments.purchases import contradictions, order_of, rows, run
from tests.modules.reservations.test_expiry import let_lapse
from tests.support.platform import eventually, tickets_of
from tests.support.world import Person, Show, World, data

EFFECTS = "select consumer, message_id from inbox where consumer = 'tickets'"


async def sold(world: World, show: Show) -> tuple[Person, list[dict[str, Any]]]:
    """Every seat is bought in an order of its own; no tickets are issued yet."""
    buyer = await world.person()
    return buyer, [await world.buy(buyer, show, label) for label in show.labels]


@pytest.mark.parametrize("point", ["before_effect_commits", "after_effect_before_cursor"])
async def test_a_consumer_that_dies_between_effect_and_cursor_issues_each_ticket_once(
    app: FastAPI, world: World, processes: Processes, point: str
) -> None:
    show = await world.show(seats=3, rows=1)
    buyer, orders = await sold(world, show)
    await processes.wait_for_crash(await processes.worker("consumers", point))
    await processes.worker("consumers")
    for order in orders:
        await tickets_of(buyer, order, 1, seconds=120)
    issued = await rows(app, "select seat_number from tickets")
    assert len(issued) == len({row.seat_number for row in issued}) == 3
    assert len(await rows(app, EFFECTS)) == 3
    assert len(await rows(app, "select from outbox where topic = 'tickets.issued'")) == 3
    assert await contradictions(app) == []


@pytest.mark.parametrize("point", ["after_version_before_frames", "after_frames_before_cursor"])
async def test_viewers_get_the_frames_that_a_dead_consumer_had_not_sent(
    app: FastAPI, world: World, processes: Processes, point: str
) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    redis: Redis = app.state.get(Redis)
    async with redis.pubsub() as frames:
        await frames.subscribe(f"seats:{show.id}")
        await world.hold(buyer, show, "Stalls-A-2")
        await processes.wait_for_crash(await processes.worker("consumers", point))
        version = (await rows(app, "select version from event_streams"))[0].version
        await processes.worker("consumers")
        async with asyncio.timeout(120):
            while (frame := await next_frame(frames)).get("version", 0) <= version:
                pass
    # A new frame from the current state with a new version: viewers that missed the first one get it now.
    assert frame.get("resync") or frame["changes"] == [[1, "h"]]


async def next_frame(frames: PubSub) -> dict[str, Any]:
    message = await frames.get_message(ignore_subscribe_messages=True, timeout=1)
    return dict(orjson.loads(message["data"])) if message else {}


async def test_a_refund_that_the_provider_has_and_no_row_records_is_paid_once(
    app: FastAPI, world: World, processes: Processes
) -> None:
    show = await world.show(seats=1, rows=1)
    buyer, (order,) = await sold(world, show)
    await processes.api()
    path = f"/orders/{order['id']}/refunds"
    data(await show.tenant.admin.post(path, {"reason": "Rain"}), 201)
    await processes.wait_for_crash(await processes.worker("consumers", "after_refund_before_commit"))
    await run(app, "update refunds set due_at = now()")  # its claim runs out
    await processes.worker("consumers")

    async def is_refunded() -> bool:
        return bool((await order_of(buyer, order))["status"] == "refunded")

    assert await eventually(is_refunded)
    assert [row.status for row in await rows(app, "select status from refunds")] == ["succeeded"]
    assert (await rows(app, "select refunded_minor, amount_minor from payments"))[0] == (4500, 4500)
    assert len(await rows(app, "select from outbox where topic = 'refund.succeeded'")) == 1


async def test_a_refusal_that_no_row_records_is_recorded_by_the_next_attempt(
    app: FastAPI, world: World, processes: Processes
) -> None:
    show = await world.show(seats=1, rows=1)
    buyer, (order,) = await sold(world, show)
    path = f"/orders/{order['id']}/refunds"
    data(await show.tenant.admin.post(path, {"amount": 4500, "reason": "mock: refuse"}), 201)
    await processes.wait_for_crash(await processes.worker("consumers", "after_refusal_before_commit"))
    assert [row.status for row in await rows(app, "select status from refunds")] == ["requested"]
    await run(app, "update refunds set due_at = now()")  # its claim runs out
    await processes.worker("consumers")

    async def has_failed() -> bool:
        return [row.status for row in await rows(app, "select status from refunds")] == ["failed"]

    assert await eventually(has_failed)
    assert (await rows(app, "select refunded_minor from payments"))[0] == (0,)
    assert len(await rows(app, "select from outbox where topic = 'refund.failed'")) == 1
    assert (await order_of(buyer, order))["status"] == "paid"
    assert await contradictions(app) == []


async def test_a_sweep_that_dies_before_its_commit_is_repeated(
    app: FastAPI, world: World, processes: Processes
) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    for label in show.labels:
        await world.hold(buyer, show, label)
    await let_lapse(app)
    await processes.wait_for_crash(await processes.worker("scheduler", "before_job_commits"))
    assert len(await rows(app, "select from reservations where status = 'active'")) == 3
    await processes.worker("scheduler")

    async def is_swept() -> bool:
        return len(await rows(app, "select from event_seats where status = 'a'")) == 3

    assert await eventually(is_swept)
    assert len(await rows(app, "select from outbox where topic = 'reservation.expired'")) == 3
    assert await contradictions(app) == []
