"""Whoever waits for an answer that does not come stops waiting, and what is dead is thrown away and replaced."""

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
async def wire(postgres: EmbeddedPostgres) -> AsyncIterator[Proxy]:
    """What lies between this test's application and its Postgres."""
    wire = await Proxy(lambda: asyncio.open_connection("127.0.0.1", postgres.port)).open()
    yield wire
    await wire.close()


@pytest.fixture
def settings(settings: Settings, wire: Proxy) -> Settings:
    """The way of requests leads over the wire, and that of workers past it."""
    url = make_url(settings.database_url).set(port=wire.port).render_as_string(hide_password=False)
    return settings.model_copy(update={"database_url": url, "database_pool_size": 5})


@pytest.fixture
async def database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(timeouts, "CLIENT_MARGIN_SECONDS", 0.5)
    database = Database(settings, statement_seconds=0.5)
    yield database
    await database.close()


async def ask(database: Database, query: str = "select 1") -> None:
    async with database.transaction() as session:
        await session.execute(text(query))


async def test_an_answer_that_is_swallowed_on_its_way_is_not_waited_for(database: Database, wire: Proxy) -> None:
    await ask(database)
    wire.passes.clear()
    began = time.monotonic()
    with pytest.raises(OperationalError):
        await asyncio.wait_for(ask(database), 60)
    assert time.monotonic() - began < 30
    wire.restore()
    await asyncio.wait_for(ask(database), 60)


async def test_a_statement_that_takes_too_long_is_ended_by_the_server_and_its_connection_lives(
    database: Database,
) -> None:
    async with database.engine.connect() as connection:
        mine = await connection.scalar(text("select pg_backend_pid()"))
        with pytest.raises(OperationalError, match="statement timeout"):
            await connection.execute(text("select pg_sleep(5)"))
        await connection.rollback()
        assert await connection.scalar(text("select pg_backend_pid()")) == mine


async def test_work_that_asks_for_patience_has_it_for_one_transaction(database: Database) -> None:
    async with database.transaction() as session:
        await timeouts.allow_long_statements(session)
        await session.execute(text("select pg_sleep(1.5)"))
    with pytest.raises(OperationalError):
        await ask(database, "select pg_sleep(1.5)")


async def test_a_pool_of_connections_to_nobody_is_replaced_before_anybody_notices(
    database: Database, wire: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticketing.infra.db.session.PING_AFTER_SECONDS", 0.0)
    await asyncio.gather(*(ask(database, "select pg_sleep(0.2)") for _ in range(5)))
    wire.half_open()
    await asyncio.wait_for(asyncio.gather(*(ask(database) for _ in range(10))), 60)


async def test_a_transaction_that_goes_on_too_long_lets_go_of_its_locks(
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
    await ask(database)
    await database.close()


async def test_a_client_that_is_frozen_in_a_pipeline_lets_go_of_its_locks(
    database_url: str, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "TRANSACTION_MARGIN_SECONDS", 0.5)
    arguments = timeouts.connect_arguments(0.5)
    open_line = arguments.pop("async_creator_fn")
    frozen = await open_line(database_url.replace("+psycopg", ""), **arguments)
    await frozen.pipeline().__aenter__()  # and nobody ever ends it
    await frozen.execute("lock table outbox_cursor")
    # The statement has run, and nobody says that this was all: the server waits for more.
    frozen.pgconn.send_flush_request()
    frozen.pgconn.flush()
    await asyncio.sleep(3)
    await asyncio.wait_for(ask(owner, "lock table outbox_cursor"), 60)
    frozen.pgconn.finish()


async def test_a_hold_whose_database_answers_nothing_is_refused_in_time_and_made_afterwards(
    app: FastAPI, world: World, wire: Proxy
) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    wire.passes.clear()
    async with asyncio.timeout(timeouts.STATEMENT_SECONDS + timeouts.CLIENT_MARGIN_SECONDS + 30):
        answer = await buyer.post("/reservations", body, key="once")
    assert refusal(answer, 503)["code"] == "dependency_down"
    assert answer.headers["Retry-After"]
    wire.restore()
    assert data(await buyer.post("/reservations", body, key="once"), 201)["status"] == "active"


async def test_a_subscription_whose_other_end_is_gone_is_noticed(settings: Settings, valkey: EmbeddedValkey) -> None:
    wire = await Proxy(lambda: asyncio.open_unix_connection(valkey.socket_path)).open()
    client = redis.connect(settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{wire.port}/0"}))
    async with client.pubsub() as subscription:
        await subscription.subscribe("news")
        heard = messages(subscription)
        assert (await anext(heard))["type"] == "subscribe"
        # Silence alone is no reason: it is asked, and answers.
        waiting = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(4 * redis.SILENCE_SECONDS)
        assert not waiting.done()
        await client.publish("news", "here I am")
        assert (await waiting)["data"] == b"here I am"
        wire.half_open()
        with pytest.raises((redis.Lost, OSError)):
            await asyncio.wait_for(anext(heard), 60)
    await client.aclose()
    await wire.close()


async def test_a_server_that_writes_to_a_frozen_client_lets_go_too(database_url: str) -> None:
    options = {name: value for name, value in timeouts.connect_arguments(1.0).items() if name != "async_creator_fn"}
    url = database_url.replace("+psycopg", "")
    frozen = psycopg.connect(url, **options)
    # More than fits into the buffers between the two, and nobody reads it.
    frozen.pgconn.send_query(b"begin; select repeat('x', 1000) from generate_series(1, 100000)")
    looking = await psycopg.AsyncConnection.connect(url, autocommit=True)
    pid = frozen.info.backend_pid

    async def is_gone() -> bool:
        found = await looking.execute("select from pg_stat_activity where pid = %s", [pid])
        return not found.rowcount

    assert await eventually(is_gone)
    await looking.close()
    frozen.close()
