"""Round trips through libpq: settings, commits, errors, time limits, and the connection that they leave behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db.pipeline import DriverConnection, pipelined, send
from ticketing.infra.group_commit import batch_transaction

INSERT = "insert into inbox (consumer, message_id) values (%s, %s)"
FOUND = "select message_id from inbox where consumer = 'driver' order by ctid"
SETTINGS = """select current_setting('app.user_id', true), current_setting('app.organization_id', true),
                     current_setting('app.shown_organizations', true)"""


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[Database]:
    """One connection, so that each transaction gets what the previous one has left behind."""
    update = {"database_pool_size": 1, "database_pool_timeout_seconds": 0.2}
    narrow = Database(settings.model_copy(update=update), url=settings.worker_database_url)
    yield narrow
    await narrow.close()


@asynccontextmanager
async def transacting(database: Database) -> AsyncIterator[DriverConnection]:
    """A transaction on the driver's connection, rolled back unless the block commits it."""
    async with database.engine.connect() as connection, batch_transaction(connection) as driver:
        yield driver
        assert driver.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE, "the block has not committed"


async def commit(driver: DriverConnection, *statements: tuple[object, ...]) -> None:
    """Send the statements and the commit in one round trip."""
    async with pipelined(driver) as round_trip:
        for query, *values in statements:
            await send(driver, str(query), *values)
        round_trip.commits = True


async def fetch(database: Database, query: str, *values: object, user_id: UUID | None = None) -> list[Any]:
    async with database.driver_reads(user_id).round_trip() as connection:
        result = await send(connection, query, *values)
    return await result.fetchall()


async def found(database: Database) -> list[UUID]:
    return [row[0] for row in await fetch(database, FOUND)]


async def write(database: Database, *ids: UUID) -> None:
    async with transacting(database) as driver:
        await commit(driver, *((INSERT, "driver", id) for id in ids))


async def fail_in_the_middle(database: Database, id: UUID) -> None:
    async with transacting(database) as driver:
        await send(driver, INSERT, "driver", id)
        with pytest.raises(psycopg.errors.UniqueViolation):
            await send(driver, INSERT, "driver", id)
        await commit(driver)


async def insert_late(database: Database, *, in_two: bool) -> None:
    async with transacting(database) as driver:
        if in_two:
            await send(driver, "insert into late values (1)")
            await commit(driver, ("insert into late values (1)",))
        else:
            await commit(driver, ("insert into late values (1), (1)",))


async def test_a_round_trip_commits_only_if_it_is_told_to(narrow: Database, database: Database) -> None:
    ids = [uuid4(), uuid4()]
    async with transacting(narrow) as driver:
        await send(driver, INSERT, "driver", ids[0])
        assert await found(database) == []
        await commit(driver, (INSERT, "driver", ids[1]))
    assert await found(database) == ids


async def test_statements_of_one_round_trip_are_one_transaction(narrow: Database) -> None:
    id = uuid4()
    with pytest.raises(psycopg.errors.UniqueViolation):
        await write(narrow, id, id)
    assert await found(narrow) == []


async def test_reads_are_of_their_caller_and_leave_no_settings(narrow: Database) -> None:
    user = uuid4()
    for _ in range(2):
        [row] = await fetch(narrow, SETTINGS, user_id=user)
        assert row[0] == str(user)
        assert set(row[1:]) <= {"", None}
    async with transacting(narrow) as driver:
        assert set(await (await send(driver, SETTINGS)).fetchone() or ()) <= {"", None}
        await commit(driver)


async def test_reads_cannot_write(narrow: Database) -> None:
    with pytest.raises(OperationalError, match="read-only transaction"):
        await fetch(narrow, f"{INSERT} returning 1", "driver", uuid4())
    assert await found(narrow) == []


async def test_a_failed_statement_cannot_be_committed_silently(narrow: Database) -> None:
    id = uuid4()
    with pytest.raises(psycopg.Error, match="failed statement"):
        await fail_in_the_middle(narrow, id)
    assert await found(narrow) == []
    await write(narrow, id)
    assert await found(narrow) == [id]


async def test_a_constraint_that_is_checked_at_the_commit_fails_the_commit(narrow: Database, owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(text("create table late (id int, unique (id) deferrable initially deferred)"))
        await session.execute(text("grant all on late to public"))
    for in_two in (False, True):
        with pytest.raises(psycopg.errors.UniqueViolation):
            await insert_late(narrow, in_two=in_two)
        assert await fetch(narrow, "select id from late") == []


async def test_a_lost_connection_is_an_outage_and_is_replaced(narrow: Database) -> None:
    for _ in range(2):
        with pytest.raises(OperationalError):
            await fetch(narrow, "select pg_terminate_backend(pg_backend_pid())")
    assert await fetch(narrow, "select 1") == [(1,)]


async def test_a_statement_has_a_time_limit(settings: Settings) -> None:
    database = Database(settings, statement_seconds=0.1)
    with pytest.raises(OperationalError):
        await fetch(database, "select pg_sleep(30)")
    assert await fetch(database, "select 1") == [(1,)]
    await database.close()


async def test_a_cancelled_round_trip_is_rolled_back_and_the_pool_is_usable(narrow: Database) -> None:
    async def write_and_wait() -> None:
        async with transacting(narrow) as driver:
            await send(driver, INSERT, "driver", uuid4())
            started.set()
            await send(driver, "select pg_sleep(30)")

    async def read_and_wait() -> None:
        started.set()
        await fetch(narrow, "select pg_sleep(30)")

    for waiting in (write_and_wait, read_and_wait, write_and_wait):
        started = asyncio.Event()
        task = asyncio.create_task(waiting())
        await started.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await found(narrow) == []
        assert set((await fetch(narrow, SETTINGS))[0]) <= {"", None}


async def test_statements_stay_prepared_after_a_failure(narrow: Database) -> None:
    id, prepared = uuid4(), "select count(*) from pg_prepared_statements where statement like 'insert into inbox%%'"
    await write(narrow, id)
    for _ in range(3):
        with pytest.raises(psycopg.errors.UniqueViolation):
            await write(narrow, id)
    assert await fetch(narrow, prepared) == [(1,)]


async def test_one_round_trip_of_a_connection_at_a_time(narrow: Database) -> None:
    async with transacting(narrow) as driver, pipelined(driver) as round_trip:
        round_trip.commits = True
        result = await send(driver, "select 1")
        with pytest.raises(RuntimeError, match="end of its round trip"):
            await result.fetchone()
        with pytest.raises(RuntimeError, match="is open"):
            async with pipelined(driver):
                pass


async def test_percent_signs_and_many_values(narrow: Database) -> None:
    [row] = await fetch(narrow, "select %s || '%%', %s::int, %s::uuid, %s::text", "a", 1, None, "%s")
    assert row == ("a%", 1, None, "%s")
    large = "x" * 3_000_000
    async with transacting(narrow) as driver:
        results = [await send(driver, "select %s::text", large) for _ in range(2)]
        async with pipelined(driver) as round_trip:
            results += [await send(driver, "select %s::text", large) for _ in range(4)]
            round_trip.commits = True
    assert {len(str((await result.fetchone() or [""])[0])) for result in results} == {len(large)}


async def test_statements_stay_usable_after_a_savepoint_is_rolled_back(narrow: Database) -> None:
    """psycopg then discards everything that the connection has prepared, also what it has not prepared itself."""
    assert await fetch(narrow, "select 'prepared'") == [("prepared",)]
    async with narrow.transaction() as session:
        for _ in range(10):  # often enough for psycopg to prepare it
            await session.execute(text("select 1"))
        async with session.begin_nested() as savepoint:
            await session.execute(text("select 2"))
            await savepoint.rollback()
        await session.execute(text("select 3"))
    assert await fetch(narrow, "select 'prepared'") == [("prepared",)]


async def test_a_server_that_is_down_raises_the_error_of_a_session(settings: Settings) -> None:
    nowhere = Database(settings, url="postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(OperationalError):
        await fetch(nowhere, "select 1")
    await nowhere.close()
