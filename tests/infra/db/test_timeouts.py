"""A call whose response does not come fails in time, and dead connections are discarded and replaced."""

import asyncio
import time
from collections.abc import AsyncIterator

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from tests.chaos.proxy import Proxy
from tests.support.platform import eventually
from tests.support.world import World, data, refusal
from ticketing.infra import redis
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, timeouts
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.redis import messages

pytestmark = pytest.mark.usefixtures("product_time_limits")


@pytest.fixture
async def proxy(postgres: EmbeddedPostgres) -> AsyncIterator[Proxy]:
    """A proxy between this test's application and its Postgres."""
    proxy = await Proxy(lambda: asyncio.open_connection("127.0.0.1", postgres.port)).open()
    yield proxy
    await proxy.close()


@pytest.fixture
def settings(settings: Settings, proxy: Proxy) -> Settings:
    """Requests connect through the proxy, workers directly."""
    url = make_url(settings.database_url).set(port=proxy.port).render_as_string(hide_password=False)
    return settings.model_copy(update={"database_url": url, "database_pool_size": 5})


@pytest.fixture
async def database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(timeouts, "CLIENT_MARGIN_SECONDS", 0.5)
    database = Database(settings, statement_seconds=0.5)
    yield database
    await database.close()


async def run_query(database: Database, query: str = "select 1") -> None:
    async with database.transaction() as session:
        await session.execute(text(query))


async def test_a_lost_response_is_not_waited_for(database: Database, proxy: Proxy) -> None:
    await run_query(database)
    proxy.passes.clear()
    began = time.monotonic()
    with pytest.raises(OperationalError):
        await asyncio.wait_for(run_query(database), 60)
    assert time.monotonic() - began < 30
    proxy.restore()
    await asyncio.wait_for(run_query(database), 60)


async def test_a_slow_statement_is_cancelled_by_the_server_and_its_connection_survives(
    database: Database,
) -> None:
    async with database.engine.connect() as connection:
        mine = await connection.scalar(text("select pg_backend_pid()"))
        with pytest.raises(OperationalError, match="statement timeout"):
            await connection.execute(text("select pg_sleep(5)"))
        await connection.rollback()
        assert await connection.scalar(text("select pg_backend_pid()")) == mine


async def test_long_statements_are_allowed_for_one_transaction(database: Database) -> None:
    async with database.transaction() as session:
        await timeouts.allow_long_statements(session)
        await session.execute(text("select pg_sleep(1.5)"))
    with pytest.raises(OperationalError):
        await run_query(database, "select pg_sleep(1.5)")


async def test_dead_pooled_connections_are_replaced_before_they_are_used(
    database: Database, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketing.infra.db.session.PING_AFTER_SECONDS", 0.0)
    await asyncio.gather(*(run_query(database, "select pg_sleep(0.2)") for _ in range(5)))
    proxy.half_open()
    await asyncio.wait_for(asyncio.gather(*(run_query(database) for _ in range(10))), 60)


async def test_a_transaction_that_takes_too_long_releases_its_locks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "TRANSACTION_MARGIN_SECONDS", 0.5)
    database = Database(settings, statement_seconds=0.5)
    async with database.transaction() as session:
        await session.execute(text("select 1"))
        await asyncio.sleep(2)
        with pytest.raises(OperationalError, match="transaction"):
            await session.execute(text("select 1"))
        await session.rollback()
    await run_query(database)
    await database.close()


async def test_a_client_stopped_in_a_pipeline_releases_its_locks(
    database_url: str, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "TRANSACTION_MARGIN_SECONDS", 0.5)
    arguments = timeouts.connect_arguments(0.5)
    connect = arguments.pop("async_creator_fn")
    stopped = await connect(database_url.replace("+psycopg", ""), **arguments)
    await stopped.pipeline().__aenter__()  # never exited
    await stopped.execute("lock table outbox_cursor")
    # The statement has run, and no sync message follows: the server waits for more.
    stopped.pgconn.send_flush_request()
    stopped.pgconn.flush()
    await asyncio.sleep(3)
    await asyncio.wait_for(run_query(owner, "lock table outbox_cursor"), 60)
    stopped.pgconn.finish()


async def test_a_hold_without_a_database_response_is_refused_in_time_and_succeeds_afterwards(
    app: FastAPI, world: World, proxy: Proxy
) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    proxy.passes.clear()
    async with asyncio.timeout(timeouts.STATEMENT_SECONDS + timeouts.CLIENT_MARGIN_SECONDS + 30):
        response = await buyer.post("/reservations", body, key="once")
    assert refusal(response, 503)["code"] == "dependency_down"
    assert response.headers["Retry-After"]
    proxy.restore()
    assert data(await buyer.post("/reservations", body, key="once"), 201)["status"] == "active"


async def test_a_subscription_detects_a_lost_server(settings: Settings, valkey: EmbeddedValkey) -> None:
    proxy = await Proxy(lambda: asyncio.open_unix_connection(valkey.socket_path)).open()
    client = redis.connect(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{proxy.port}/0"}))
    async with client.pubsub() as subscription:
        await subscription.subscribe("news")
        received = messages(subscription)
        assert (await anext(received))["type"] == "subscribe"
        # A silent server is pinged, and replies.
        waiting = asyncio.ensure_future(anext(received))
        await asyncio.sleep(4 * redis.SILENCE_SECONDS)
        assert not waiting.done()
        await client.publish("news", "a message")
        assert (await waiting)["data"] == b"a message"
        proxy.half_open()
        with pytest.raises((redis.Lost, OSError)):
            await asyncio.wait_for(anext(received), 60)
    await client.aclose()
    await proxy.close()


async def test_a_server_writing_to_a_stopped_client_closes_the_connection(database_url: str) -> None:
    options = {name: value for name, value in timeouts.connect_arguments(1.0).items() if name != "async_creator_fn"}
    url = database_url.replace("+psycopg", "")
    stopped = psycopg.connect(url, **options)
    # More than the socket buffers hold, and this side does not read it.
    stopped.pgconn.send_query(b"begin; select repeat('x', 1000) from generate_series(1, 100000)")
    observer = await psycopg.AsyncConnection.connect(url, autocommit=True)
    pid = stopped.info.backend_pid

    async def is_gone() -> bool:
        found = await observer.execute("select from pg_stat_activity where pid = %s", [pid])
        return not found.rowcount

    assert await eventually(is_gone)
    await observer.close()
    stopped.close()
