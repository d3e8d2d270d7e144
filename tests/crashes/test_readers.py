"""A reader of the log dies between its effect and its cursor: its successor reads again, and nothing happens twice."""

import asyncio
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from tests.crashes.stage import Stage
from tests.modules.payments.till import order_of, rows
from tests.modules.reservations.test_expiry import run_out
from tests.support.platform import eventually, tickets_of
from tests.support.world import Person, Show, World, data
from ticketing import invariants

EFFECTS = "select consumer, message_id from inbox where consumer = 'tickets'"


async def sold(world: World, show: Show) -> tuple[Person, list[dict[str, Any]]]:
    """Every seat paid for, one by one, by somebody who has no tickets yet."""
    buyer = await world.person()
    return buyer, [await world.buy(buyer, show, label) for label in show.labels]


async def contradictions(app: FastAPI) -> list[str]:
    async with app.state.worker_database.transaction() as session:
        return [verdict.invariant.name for verdict in await invariants.check(session) if verdict.count]


@pytest.mark.parametrize("point", ["before_effect_commits", "after_effect_before_cursor"])
async def test_a_consumer_that_dies_between_effect_and_cursor_issues_each_ticket_once(
    app: FastAPI, world: World, stage: Stage, point: str
) -> None:
    show = await world.show(seats=3, rows=1)
    buyer, orders = await sold(world, show)
    await stage.dies(await stage.worker("consumers", point))
    await stage.worker("consumers")
    for order in orders:
        await tickets_of(buyer, order, 1, seconds=120)
    issued = await rows(app, "select seat_number from tickets")
    assert len(issued) == len({row.seat_number for row in issued}) == 3
    assert len(await rows(app, EFFECTS)) == 3
    assert len(await rows(app, "select from outbox where topic = 'tickets.issued'")) == 3
    assert await contradictions(app) == []


@pytest.mark.parametrize("point", ["after_version_before_frames", "after_frames_before_cursor"])
async def test_a_viewer_is_shown_what_a_dead_consumer_had_not_sent(
    app: FastAPI, world: World, stage: Stage, point: str
) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    redis: Redis = app.state.get(Redis)
    async with redis.pubsub() as frames:
        await frames.subscribe(f"seats:{show.id}")
        await world.hold(buyer, show, "Stalls-A-2")
        await stage.dies(await stage.worker("consumers", point))
        version = (await rows(app, "select version from event_streams"))[0].version
        await stage.worker("consumers")
        async with asyncio.timeout(120):
            while (frame := await next_frame(frames)).get("version", 0) <= version:
                pass
    # Made anew from what is true, with a version of its own: whoever missed the first one has it now.
    assert frame.get("resync") or frame["changes"] == [[1, "h"]]


async def next_frame(frames: PubSub) -> dict[str, Any]:
    message = await frames.get_message(ignore_subscribe_messages=True, timeout=1)
    return dict(orjson.loads(message["data"])) if message else {}


async def test_a_refund_that_the_provider_has_and_we_have_not_written_down_goes_back_once(
    app: FastAPI, world: World, stage: Stage
) -> None:
    show = await world.show(seats=1, rows=1)
    buyer, (order,) = await sold(world, show)
    await stage.api()
    path = f"/orders/{order['id']}/refunds"
    data(await show.tenant.admin.post(path, {"reason": "Rain"}), 201)
    await stage.dies(await stage.worker("consumers", "after_refund_before_commit"))
    await stage.worker("consumers")

    async def is_refunded() -> bool:
        return bool((await order_of(buyer, order))["status"] == "refunded")

    assert await eventually(is_refunded)
    assert [row.status for row in await rows(app, "select status from refunds")] == ["succeeded"]
    assert (await rows(app, "select refunded_minor, amount_minor from payments"))[0] == (4500, 4500)
    assert len(await rows(app, "select from outbox where topic = 'refund.succeeded'")) == 1


async def test_a_sweep_that_dies_before_its_commit_is_done_by_the_next_one(
    app: FastAPI, world: World, stage: Stage
) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    for label in show.labels:
        await world.hold(buyer, show, label)
    await run_out(app)
    await stage.dies(await stage.worker("scheduler", "before_job_commits"))
    assert len(await rows(app, "select from reservations where status = 'active'")) == 3
    await stage.worker("scheduler")

    async def is_swept() -> bool:
        return len(await rows(app, "select from event_seats where status = 'a'")) == 3

    assert await eventually(is_swept)
    assert len(await rows(app, "select from outbox where topic = 'reservation.expired'")) == 3
    assert await contradictions(app) == []
