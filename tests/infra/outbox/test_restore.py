"""A database that moves to another cluster, which counts its transactions from the start: the log goes on there."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.conftest import FAST
from tests.infra.outbox import dumps
from tests.infra.outbox.test_reader import colours, painted, reader_of, write, write_colours
from tests.support.drain import drain
from tests.support.world import Person, Show, World, data
from ticketing import invariants
from ticketing.infra.app_state import AppState
from ticketing.infra.config import ConfigurationError, Settings
from ticketing.infra.db import Database, log_cluster, migrate
from ticketing.infra.embedded.postgres import APPLICATION, WORKER, EmbeddedPostgres
from ticketing.infra.outbox.reader import LogReader
from ticketing.main import create_app
from ticketing.modules import payments, webhooks

#: Each subtransaction takes a transaction id, so that this cluster is far ahead of a new one.
TAKE_IDS = """
do $$ begin
    create temporary table taken (n integer) on commit drop;
    for n in 1 .. 20000 loop
        begin
            insert into taken values (n);
        exception when others then null;
        end;
    end loop;
end $$"""
EPOCH = "select min(epoch) from event_streams"
DELIVERIES = "select count(*) from webhook_deliveries where topic = 'tickets.issued'"


@pytest.fixture(scope="module")
def other_cluster(postgres: EmbeddedPostgres, quick_folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(quick_folder / "other", FAST) as server:
        dumps.copy_roles(postgres.url("postgres"), server.url("postgres"))
        (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        execute(server.url("postgres"), "select pg_reload_conf()")
        yield server


class Restored:
    """Restores dumps of the test's database into the other cluster."""

    def __init__(self, source_url: str, server: EmbeddedPostgres, settings: Settings, folder: Path) -> None:
        self._source_url, self._server, self._settings, self._dump = source_url, server, settings, folder / "dump"

    def dump(self) -> None:
        execute(self._source_url, TAKE_IDS)
        dumps.dump(self._source_url, self._dump)

    def restore(self, name: str | None = None) -> Settings:
        """The settings of the restored database, which nothing has connected to since."""
        name = name or f"test_{uuid4().hex}"
        self._server.create_database(name)
        dumps.restore(self._dump, self._server.url(name))
        urls = {
            "database_url": self._server.url(name, APPLICATION),
            "worker_database_url": self._server.url(name, WORKER),
            "migration_database_url": self._server.url(name),
        }
        return self._settings.model_copy(update=urls)


@pytest.fixture
def restored(database_url: str, other_cluster: EmbeddedPostgres, settings: Settings, tmp_path: Path) -> Restored:
    return Restored(database_url, other_cluster, settings, tmp_path)


def execute(url: str, *statements: str) -> list[Any]:
    """The rows of the last statement."""
    with psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings, url=settings.worker_database_url)
    yield database
    await database.close()


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[FastAPI, World]]:
    """The application on a restored database."""
    app = create_app(settings)
    app.state = AppState(settings)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with (
        opened(settings) as app.state.worker_database,
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        payments.use_transport(httpx2.ASGITransport(app))
        yield app, World(client)


async def scalar(database: Database, query: str) -> Any:
    async with database.transaction() as session:
        return await session.scalar(text(query))


async def read_rows(database: Database, reader: str) -> list[int]:
    """The ids that a reader reads to the end of the log."""
    log, found = LogReader(database, reader, "test", page_rows=3), []
    assert await log.acquire()
    while page := await log.read():
        found += [delivery.log_id for delivery in page]
        log.acknowledge(page[-1].log_id)
    await log.release()
    return found


async def feed(reader: Person, show: Show, cursor: str | None = None) -> tuple[list[str], str]:
    """The ids of all messages after the cursor, and the cursor of the end."""
    found: list[str] = []
    while True:
        query = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        response = await reader.get(show.tenant.path("/feed"), params=query)
        rows, cursor = data(response), response.json()["meta"]["next_cursor"]
        if not rows:
            return found, cursor
        found += [row["id"] for row in rows]


async def tickets_of(buyer: Person) -> int:
    return len(data(await buyer.get("/me/tickets")))


async def test_a_restored_database_sells_tickets_and_every_reader_goes_on(
    app: FastAPI, world: World, database: Database, database_url: str, restored: Restored
) -> None:
    show, buyers = await world.show(rows=1, seats=4), [await world.person() for _ in range(4)]
    admin, webhook = show.tenant.admin, {"url": "https://example.com/", "types": ["tickets.issued"]}
    execute(database_url, TAKE_IDS)
    data(await admin.post(show.tenant.path("/webhooks"), webhook), 201)
    await world.buy(buyers[0], show, "Stalls-A-1")
    await drain(app)
    read_before = await read_rows(database, "tests")
    await webhooks.fan_out(database)
    seen, cursor = await feed(admin, show)
    await world.buy(buyers[1], show, "Stalls-A-2")  # unread in the dump
    restored.dump()
    epoch = await scalar(database, EPOCH)
    # What the dump does not contain: a client of the feed has a position that the restored log never reached.
    await world.buy(buyers[2], show, "Stalls-A-3")
    await drain(app)
    _, lost_cursor = await feed(admin, show, cursor)

    async with serving(restored.restore()) as (app, world):
        database = app.state.worker_database
        buyers, admin = [replace(person, client=world.client) for person in buyers], replace(admin, client=world.client)
        assert await drain(app) > 0
        assert [await tickets_of(buyer) for buyer in buyers] == [1, 1, 0, 0]
        last_id = await scalar(database, "select max(id) from outbox")
        await world.buy(buyers[3], show, "Stalls-A-4")
        await drain(app)
        assert [await tickets_of(buyer) for buyer in buyers] == [1, 1, 0, 1]

        ids = list(await scalar(database, "select array_agg(id order by id) from outbox"))
        assert read_before + await read_rows(database, "tests") == ids, "each message once, and in order"
        # Viewers know versions of the map that the dump does not contain; with a new epoch they take a snapshot.
        assert await scalar(database, EPOCH) not in (None, epoch)
        while await webhooks.fan_out(database):
            continue
        assert await scalar(database, DELIVERIES) == 3
        mine = f"select array_agg(message_id::text order by id) from outbox where organization_id = '{show.tenant.id}'"
        assert seen + (await feed(admin, show, cursor))[0] == await scalar(database, mine)
        later = await scalar(database, f"{mine} and id > {last_id}")
        assert (await feed(admin, show, lost_cursor))[0][-len(later) :] == later
        assert data(await world.client.get("/health/alerts"))["alerts"]
        async with database.transaction() as session:
            assert [found.invariant.name for found in await invariants.check(session) if found.count] == []


async def test_a_process_that_reconnects_to_a_restored_database_writes_what_readers_read(
    database: Database, restored: Restored, other_cluster: EmbeddedPostgres
) -> None:
    """Without a restart, as when the address of the database moves to the new server."""
    await write_colours(database, "a")
    assert await colours(await reader_of(database)) == ["a"]
    restored.dump()
    settings = restored.restore("moving")
    async with opened(settings) as running:
        await write_colours(running, "b")
        other_cluster.drop_database("moving")
        restored.restore("moving")
        while True:  # connections of the pool that were cut fail once each
            try:
                await write(running, painted(uuid4(), "c"))
                break
            except OperationalError:
                continue
        assert await colours(await reader_of(running)) == ["c"]
    other_cluster.drop_database("moving")


async def test_a_logical_replica_assigns_no_id_twice(database: Database, restored: Restored) -> None:
    """Logical replication carries rows, and not the positions of sequences."""
    await write_colours(database, "ab")
    assert await colours(await reader_of(database)) == ["a", "b"]
    restored.dump()
    settings = restored.restore()
    execute(
        str(settings.migration_database_url),
        "insert into dead_letters (consumer, topic, key, message_id, message, error, attempts)"
        " values ('tickets', 't', 'k', gen_random_uuid(), '{}', 'KeyError', 8)",
        "alter table outbox alter id restart",
        "alter table dead_letters alter id restart",
    )
    async with opened(settings) as replica:
        await write_colours(replica, "c")
        assert await colours(await reader_of(replica)) == ["c"]
        assert await scalar(replica, "select array_agg(id order by id) from outbox") == [1, 2, 3]
    assert execute(str(settings.migration_database_url), "select nextval('dead_letters_id_seq')")[0][0] > 1


async def test_a_process_refuses_a_log_that_it_cannot_adopt_until_it_is_migrated(
    database: Database, restored: Restored
) -> None:
    await write_colours(database, "a")
    restored.dump()
    settings = restored.restore()
    owner_url, owner = str(settings.migration_database_url), f"owner_{uuid4().hex[:8]}"
    tables = "do $$ declare name text; begin for name in select tablename from pg_tables where schemaname = 'public'"
    execute(
        owner_url,
        f"create role {owner}",
        f"grant create on schema public to {owner}",
        f"{tables} loop execute format('alter table %I owner to {owner}', name); end loop; end $$",
        f"alter view watched_log_positions owner to {owner}; alter view outbox_readers owner to {owner}",
        f"alter function log_position(xid8) owner to {owner}; alter function adopt_log() owner to {owner}",
    )
    with pytest.raises(ConfigurationError, match="ticketing migrate"):
        log_cluster.check(settings.database_url)
    async with opened(settings) as refused:
        with pytest.raises(OperationalError, match="ticketing migrate"):
            await write_colours(refused, "b")
    migrate.upgrade(owner_url)
    log_cluster.check(settings.database_url)
    async with opened(settings) as database:
        await write_colours(database, "b")
        assert await colours(await reader_of(database)) == ["a", "b"]
    assert not log_cluster.adopt_as_owner(owner_url), "once is enough"
