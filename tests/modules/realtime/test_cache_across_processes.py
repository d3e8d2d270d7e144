"""Each process invalidates its cached responses after the changes of other processes, and copes without Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.modules.realtime.caching import (
    LONG_SECONDS,
    begin,
    block_seat,
    loads_blocked,
    served_from,
    statuses,
    warm_up,
)
from tests.modules.realtime.live import until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, Show, World, data
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.db import Database
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.redis import commit_notifications
from ticketing.infra.redis.commit_notifications import CommitNotification, CommitNotifier
from ticketing.main import create_app
from ticketing.modules.realtime.response_cache import cache
from ticketing.modules.realtime.response_cache.cache import ResponseCache


@pytest.fixture(autouse=True)
def _nothing_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", LONG_SECONDS)


@pytest.fixture
async def other(app: FastAPI, settings: Settings) -> AsyncIterator[FastAPI]:
    """A second application with its own database pool, Redis connection and cache, in place of a second process."""
    other = create_app(settings)
    async with other.router.lifespan_context(other):
        await until(lambda: other.state.get(ResponseCache).is_subscribed)
        yield other


@pytest.fixture
async def other_client(other: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the second application."""
    transport = httpx2.ASGITransport(other, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def until_statuses(client: httpx2.AsyncClient, show: Show, seats: str) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await statuses(client, show) != seats:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)


async def test_a_change_in_one_process_is_soon_visible_in_the_other(
    app: FastAPI, world: World, other: FastAPI, other_client: httpx2.AsyncClient
) -> None:
    show, buyer = await world.show(rows=1, seats=3), await world.person()
    for one, client in ((app, world.client), (other, other_client)):
        await warm_up(one, client, show)
        assert await statuses(client, show) == "aaa"
    await world.hold(buyer, show, "Stalls-A-1")
    assert await statuses(world.client, show) == "haa"
    await until_statuses(other_client, show, "haa")
    await block_seat(other.state.get(Database), show, 2)
    assert await statuses(other_client, show) == "hab"
    await until_statuses(world.client, show, "hab")


async def test_a_change_by_a_worker_is_soon_visible(app: FastAPI, world: World, settings: Settings) -> None:
    show = await world.show(rows=1, seats=3)
    await warm_up(app, world.client, show)
    assert await statuses(world.client, show) == "aaa"
    worker = Database(settings, notifier=CommitNotifier(app.state.get(Redis)), url=settings.worker_database_url)
    await block_seat(worker, show, 1)
    await until_statuses(world.client, show, "aba")
    await worker.close()


class TestWithoutRedis:
    """With a Valkey that the tests can stop."""

    @pytest.fixture
    def own_valkey(self, tmp_path: Path) -> Iterator[EmbeddedValkey]:
        with EmbeddedValkey(tmp_path) as server:
            yield server

    @pytest.fixture
    def settings(self, database_url: str, own_valkey: EmbeddedValkey) -> Settings:
        return get_settings().model_copy(update={"database_url": database_url, "redis_url": own_valkey.url()})

    async def test_a_process_without_notifications_caches_nothing(
        self, app: FastAPI, world: World, own_valkey: EmbeddedValkey
    ) -> None:
        show = await world.show(rows=1, seats=4)
        await warm_up(app, world.client, show)
        assert await statuses(world.client, show) == "aaaa"
        own_valkey.stop()
        await until(lambda: not app.state.get(ResponseCache).is_subscribed, 10)
        for number, seats in enumerate(("baaa", "bbaa", "bbba")):
            await block_seat(app.state.worker_database, show, number)  # as another process would
            assert await statuses(world.client, show) == seats
        own_valkey.start()
        await until(lambda: app.state.get(ResponseCache).is_subscribed, 10)
        await block_seat(app.state.get(Database), show, 3)
        assert await statuses(world.client, show) == "bbbb"
        before = served_from("memory")
        assert await statuses(world.client, show) == "bbbb"
        assert served_from("memory") - before == 1

    async def test_a_response_loaded_without_notifications_is_not_cached(
        self, app: FastAPI, world: World, own_valkey: EmbeddedValkey, owner: Database
    ) -> None:
        show = await world.show(rows=1, seats=2)
        await warm_up(app, world.client, show)
        own_valkey.stop()
        await until(lambda: not app.state.get(ResponseCache).is_subscribed, 10)
        async with loads_blocked(owner):
            early = await begin(owner, world.client.get(f"{API}/events/{show.id}/availability"))
            await block_seat(app.state.worker_database, show, 0)  # no notification can arrive here
            own_valkey.start()
            await until(lambda: app.state.get(ResponseCache).is_subscribed, 2.5)
        assert data(await early)["seats"] == "aa"
        assert await statuses(world.client, show) == "ba"


async def test_a_notification_that_redis_did_not_take_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit_notifications, "RETRY_SECONDS", 0)
    sent: list[CommitNotification] = []
    is_taken = asyncio.Event()

    class UnreliableRedis(Redis):
        async def publish(self, channel: str, message: bytes) -> int:  # type: ignore[override]
            sent.append(commit_notifications.decode(message))
            if len(sent) < 3:
                raise RedisConnectionError
            is_taken.set()
            return 1

    event_id, sending = uuid4(), CommitNotifier(UnreliableRedis())
    sending.send([event_id], ["event.updated"])
    await asyncio.wait_for(is_taken.wait(), PATIENCE_SECONDS)
    await sending.close()
    assert [notification[1:] for notification in sent] == [([event_id], ["event.updated"])] * 3


async def test_many_commits_are_few_notifications_that_miss_no_event(app: FastAPI, hear: "Hear") -> None:
    event_ids = [uuid4() for _ in range(50)]
    sending = CommitNotifier(app.state.get(Redis))
    for event_id in event_ids:
        sending.send([event_id])
        await asyncio.sleep(0)
    last = uuid4()
    await asyncio.sleep(0.1)
    sending.send([last])
    sending.send([event_ids[0]])
    await sending.close()
    heard = await hear(sending.sender, {*event_ids, last})
    assert len(heard) <= 5


Hear = Callable[..., "asyncio.Future[list[bytes]]"]


@pytest.fixture
async def hear(app: FastAPI) -> AsyncIterator[Callable[..., object]]:
    """The notifications of a sender, up to the one that completes these events."""
    async with app.state.get(Redis).pubsub() as pubsub:
        await pubsub.subscribe(commit_notifications.CHANNEL)

        async def listen(sender: UUID, event_ids: set[UUID]) -> list[bytes]:
            nudges, missing = [], set(event_ids)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while missing:
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
                    if message and commit_notifications.decode(message["data"])[0] == sender:
                        nudges.append(message["data"])
                        missing -= set(commit_notifications.decode(message["data"])[1])
            return nudges

        yield listen
