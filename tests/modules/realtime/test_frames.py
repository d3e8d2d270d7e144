"""Messages become frames: one per event and batch, with a version that only the consumer increments."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import text

from tests.support.world import Show, World
from ticketing.infra import redis
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery
from ticketing.infra.outbox.reader import LogReader
from ticketing.modules.realtime import SeatFrames, frames, queries


class Subscriber:
    """Collects every published frame."""

    def __init__(self, pubsub: Any) -> None:
        self._pubsub = pubsub

    async def all(self) -> list[dict[str, Any]]:
        found = []
        while message := await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2):
            found.append(orjson.loads(message["data"]))
        return found


@pytest.fixture
async def connection(settings: Settings) -> AsyncIterator[Redis]:
    connection = redis.connect(settings)
    yield connection
    await connection.aclose()


@pytest.fixture
async def subscriber(connection: Redis) -> AsyncIterator[Subscriber]:
    async with connection.pubsub() as pubsub:
        await pubsub.psubscribe("seats:*")
        assert (await pubsub.get_message(timeout=5))["type"] == "psubscribe"
        yield Subscriber(pubsub)


async def read_log(app: FastAPI) -> list[Delivery]:
    reader = LogReader(app.state.worker_database, "realtime", "test")
    assert await reader.acquire()
    page = await reader.read()
    if page:
        await reader.advance(page[-1].log_id)
    return page


async def test_a_batch_makes_one_frame_per_event(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    show, other = await world.show(rows=1, seats=5), await world.show(rows=1, seats=1)
    await SeatFrames(connection).consume(app.state.worker_database, await read_log(app))
    first = {frame["version"] for frame in await subscriber.all()}
    assert first == {1}
    buyer = await world.person()
    for label in ("Stalls-A-1", "Stalls-A-3"):
        await world.hold(buyer, show, label)
    await world.hold(buyer, other, "Stalls-A-1")
    await SeatFrames(connection).consume(app.state.worker_database, await read_log(app))
    published = sorted((frame["version"], frame["changes"]) for frame in await subscriber.all())
    assert published == [(2, [[0, "h"]]), (2, [[0, "h"], [2, "h"]])]


async def test_a_frame_has_the_current_status_and_not_that_of_the_message(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    show, buyer = await world.show(rows=1, seats=2, hold_seconds=5), await world.person()
    hold = await world.hold(buyer, show, "Stalls-A-2")
    page = await read_log(app)
    await buyer.delete(f"/reservations/{hold['id']}")
    created = [delivery for delivery in page if delivery.topic == "reservation.created"]
    await SeatFrames(connection).consume(app.state.worker_database, created)
    assert (await subscriber.all())[0]["changes"] == [[1, "a"]]


async def test_a_lapsed_hold_is_published_as_available(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    show = await world.show(rows=1, seats=1)
    await world.hold(await world.person(), show, "Stalls-A-1")
    page = [delivery for delivery in await read_log(app) if delivery.topic == "reservation.created"]
    await let_holds_lapse(app.state.worker_database)
    await SeatFrames(connection).consume(app.state.worker_database, page)
    assert (await subscriber.all())[0]["changes"] == [[0, "a"]]


async def let_holds_lapse(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(
            text("update event_seats set held_until = now() - interval '1 second' where status = 'h'")
        )


async def test_new_seats_and_very_many_changes_request_a_snapshot(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await world.show(rows=1, seats=3)
    await SeatFrames(connection).consume(app.state.worker_database, await read_log(app))
    assert [frame.get("resync") for frame in await subscriber.all()] == [True]
    monkeypatch.setattr(frames, "CHANGES_MAX", 2)
    await world.hold(await world.person(), show, *show.labels)
    await SeatFrames(connection).consume(app.state.worker_database, await read_log(app))
    assert [frame.get("resync") for frame in await subscriber.all()] == [True]


async def test_concurrent_publishers_never_use_a_version_twice(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    shows = [await world.show(rows=1, seats=1) for _ in range(2)]
    page = await read_log(app)
    database = app.state.worker_database
    await asyncio.gather(*(SeatFrames(connection).consume(database, page) for _ in range(10)))
    published = await subscriber.all()
    assert sorted(frame["version"] for frame in published) == sorted(list(range(1, 11)) * len(shows))
    assert len({frame["epoch"] for frame in published}) <= len(shows)


async def test_without_redis_the_consumer_continues(app: FastAPI, world: World, settings: Settings) -> None:
    show = await world.show(rows=1, seats=1)
    gone = redis.connect(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    await SeatFrames(gone).consume(app.state.worker_database, await read_log(app))
    async with app.state.worker_database.transaction() as session:
        known = await queries.versions(session, [UUID(show.id)])
    assert known[UUID(show.id)].version == 1
    await gone.aclose()


async def test_an_invalid_message_does_not_block_the_others(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    show: Show = await world.show(rows=1, seats=1)
    page = await read_log(app)
    synced = next(delivery for delivery in page if delivery.topic == "seats.synced")
    broken = Delivery(**{n: getattr(synced, n) for n in Delivery.__slots__} | {"payload": {"event_id": str(uuid4())}})
    await SeatFrames(connection).consume(app.state.worker_database, [broken, synced])
    assert len(await subscriber.all()) == 1
    assert show.id


def foreign(event_id: UUID, organization_id: UUID, **lists: Any) -> Delivery:
    """A message that is well-formed, and that anyone with access to the broker may have written."""
    payload = {"event_id": str(event_id), "organization_id": str(organization_id), **lists}
    return Delivery(uuid4(), "seats.blocked", str(event_id), 1, datetime.now(UTC), organization_id, payload, "", "", "")


async def test_foreign_messages_neither_write_rows_nor_hold_up_the_maps(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    show = await world.show(rows=1, seats=2)
    event_id, organization_id = UUID(show.id), UUID(show.tenant.id)
    unknown = [foreign(uuid4(), organization_id, seat_numbers=[0]) for _ in range(50)]
    many_types = [str(uuid4()) for _ in range(25_000)]
    messages = [
        *unknown,
        foreign(event_id, uuid4(), seat_numbers=[1]),
        foreign(event_id, organization_id, seat_numbers=[10**12]),
        foreign(event_id, organization_id, seat_numbers=[-1]),
        *(foreign(uuid4(), organization_id, ticket_type_ids=many_types) for _ in range(3)),
        foreign(event_id, organization_id, seat_numbers=[0]),
    ]
    began_at = time.monotonic()
    await SeatFrames(connection).consume(app.state.worker_database, messages)
    assert time.monotonic() - began_at < 5, "no attempt failed, and nothing was looked up for other events"
    assert [frame["changes"] for frame in await subscriber.all()] == [[[0, "a"]]]
    async with app.state.worker_database.transaction() as session:
        rows = (await session.execute(text("select organization_id, event_id from event_streams"))).all()
    assert [tuple(row) for row in rows] == [(organization_id, event_id)]


async def test_a_foreign_list_of_everything_requests_a_snapshot(
    app: FastAPI, world: World, connection: Redis, subscriber: Subscriber
) -> None:
    show = await world.show(rows=1, seats=2)
    own = (UUID(show.id), UUID(show.tenant.id))
    types = [str(uuid4()) for _ in range(25_000)]
    messages = [foreign(*own, ticket_type_ids=types, seat_numbers=[*range(100_000)]) for _ in range(4)]
    await SeatFrames(connection).consume(app.state.worker_database, messages)
    assert [frame.get("resync") for frame in await subscriber.all()] == [True]
