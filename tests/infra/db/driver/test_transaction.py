"""A transaction without a session follows the rules of one: its caller, its commit, its errors, and its connection."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ticketing.infra import outbox
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, on_commit
from ticketing.infra.db.pipeline import pipelined, send
from ticketing.infra.outbox.reader import LogReader
from ticketing.infra.system.outside_calls import TransactionOpen, assert_no_transaction
from ticketing.modules import reservations

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


async def found(database: Database) -> list[UUID]:
    return [row[0] for row in await database.driver_reads().fetch_all(FOUND)]


async def write(database: Database, *ids: UUID, error: Exception | None = None) -> None:
    async with database.driver_transaction() as driver:
        for id in ids:
            await driver.execute(INSERT, "driver", id)
        if error is not None:
            raise error


async def defer(database: Database, *statements: tuple[object, ...]) -> None:
    async with database.driver_transaction() as driver:
        for query, *values in statements:
            driver.defer(str(query), *values)


async def fail_in_the_middle(database: Database, id: UUID) -> None:
    async with database.driver_transaction() as driver:
        await driver.execute(INSERT, "driver", id)
        with pytest.raises(IntegrityError):
            await driver.execute(INSERT, "driver", id)


async def insert_late(database: Database, *, in_two: bool) -> None:
    async with database.driver_transaction() as driver:
        if in_two:
            await driver.execute("insert into late values (1)")
            driver.defer("insert into late values (1)")
        else:
            driver.defer("insert into late values (1), (1)")


async def end_own_connection(database: Database) -> None:
    async with database.driver_transaction() as driver:
        await driver.execute("select pg_terminate_backend(pg_backend_pid())")


def message(event_id: UUID) -> reservations.ReservationExpired:
    return reservations.ReservationExpired(
        organization_id=uuid4(),
        reservation_id=uuid4(),
        event_id=event_id,
        user_id=uuid4(),
        seat_numbers=[7],
        ticket_type_ids=[],
    )


async def test_it_commits_at_the_end_of_the_block_and_not_before(narrow: Database, database: Database) -> None:
    id = uuid4()
    async with narrow.driver_transaction() as driver:
        await driver.execute(INSERT, "driver", id)
        assert await found(database) == []
    assert await found(database) == [id]


async def test_it_rolls_back_if_the_block_raises(narrow: Database) -> None:
    with pytest.raises(LookupError):
        await write(narrow, uuid4(), error=LookupError())
    assert await found(narrow) == []


async def test_settings_end_with_the_transaction(narrow: Database) -> None:
    user, organization = uuid4(), uuid4()
    async with narrow.driver_transaction(user) as driver:
        driver.enter(organization)
        driver.show([organization])
        for _ in range(2):
            row = await (await driver.execute(SETTINGS)).fetchone()
            assert row == (str(user), str(organization), f"{{{organization}}}")
    assert await narrow.driver_reads().fetch_one(SETTINGS) == ("", "", "")


async def test_reads_are_of_their_caller_and_organization_and_leave_no_settings(narrow: Database) -> None:
    user, organization = uuid4(), uuid4()
    reads = narrow.driver_reads(user)
    reads.enter(organization)
    for _ in range(2):
        assert await reads.fetch_one(SETTINGS) == (str(user), str(organization), "")
    async with narrow.driver_transaction() as driver:
        assert set(await (await driver.execute(SETTINGS)).fetchone() or ()) <= {"", None}


async def test_reads_cannot_write(narrow: Database) -> None:
    with pytest.raises(OperationalError, match="read-only transaction"):
        await narrow.driver_reads().fetch_all(f"{INSERT} returning 1", "driver", uuid4())
    assert await found(narrow) == []


async def test_nothing_is_borrowed_from_the_pool_without_a_statement(narrow: Database) -> None:
    async with narrow.driver_transaction(uuid4()) as driver, narrow.driver_transaction() as other:
        driver.enter(uuid4())
        assert not driver.is_open
        await other.execute("select 1")
        with pytest.raises(PoolTimeout):
            await driver.execute("select 1")


async def test_what_is_deferred_is_sent_in_order_with_the_next_round_trip_or_the_commit(narrow: Database) -> None:
    ids = [uuid4() for _ in range(3)]
    async with narrow.driver_transaction() as driver:
        driver.defer(INSERT, "driver", ids[0])
        assert await (await driver.execute(FOUND)).fetchall() == [(ids[0],)]
        driver.defer(INSERT, "driver", ids[1])
        driver.defer(INSERT, "driver", ids[2])
    assert await found(narrow) == ids


async def test_a_transaction_of_deferred_statements_alone_is_one_transaction(narrow: Database) -> None:
    id = uuid4()
    with pytest.raises(IntegrityError):
        await defer(narrow, (INSERT, "driver", id), (INSERT, "driver", id))
    assert await found(narrow) == []


async def test_a_failed_statement_cannot_be_committed_silently(narrow: Database) -> None:
    id = uuid4()
    with pytest.raises(DBAPIError, match="failed statement"):
        await fail_in_the_middle(narrow, id)
    assert await found(narrow) == []
    await write(narrow, id)
    assert await found(narrow) == [id]


async def test_a_constraint_that_is_checked_at_the_commit_fails_the_commit(narrow: Database, owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(text("create table late (id int, unique (id) deferrable initially deferred)"))
        await session.execute(text("grant all on late to public"))
    for in_two in (False, True):
        with pytest.raises(IntegrityError):
            await insert_late(narrow, in_two=in_two)
        assert await narrow.driver_reads().fetch_all("select id from late") == []


async def test_a_lost_connection_is_an_outage_and_is_replaced(narrow: Database) -> None:
    with pytest.raises(OperationalError):
        await end_own_connection(narrow)
    with pytest.raises(OperationalError):
        await narrow.driver_reads().fetch_one("select pg_terminate_backend(pg_backend_pid())")
    assert await narrow.driver_reads().fetch_one("select 1") == (1,)


async def test_a_statement_has_a_time_limit(settings: Settings) -> None:
    database = Database(settings, statement_seconds=0.1)
    with pytest.raises(OperationalError):
        await database.driver_reads().fetch_one("select pg_sleep(30)")
    assert await database.driver_reads().fetch_one("select 1") == (1,)
    await database.close()


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_usable(narrow: Database) -> None:
    async def wait_inside() -> None:
        async with narrow.driver_transaction(uuid4()) as driver:
            await driver.execute(INSERT, "driver", uuid4())
            started.set()
            await driver.execute("select pg_sleep(30)")

    for _ in range(2):
        started = asyncio.Event()
        task = asyncio.create_task(wait_inside())
        await started.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await found(narrow) == []
        assert await narrow.driver_reads().fetch_one(SETTINGS) == ("", "", "")


async def test_messages_are_published_in_order_with_the_commit_and_readers_are_notified(database: Database) -> None:
    changed: list[object] = []
    database.on_changed.append(lambda subjects, _: changed.append(subjects))
    event_id, called = uuid4(), []
    messages = [message(event_id) for _ in range(3)]
    reader = LogReader(database, "test", "test")
    await reader.acquire()
    async with database.driver_transaction() as driver:
        outbox.publish(driver, *messages)
        on_commit(driver, lambda: called.append(1))
        assert not changed
        assert not called
    assert changed == [{event_id}]
    assert called == [1]
    assert {delivery.key for delivery in await reader.read()} == {m.key for m in messages}


async def test_no_other_server_is_called_while_it_is_open(database: Database) -> None:
    async with database.driver_transaction() as driver:
        assert_no_transaction("a client")
        await driver.execute("select 1")
        with pytest.raises(TransactionOpen):
            assert_no_transaction("a client")
    assert_no_transaction("a client")


async def test_statements_stay_prepared_after_a_failure(narrow: Database) -> None:
    id, prepared = uuid4(), "select count(*) from pg_prepared_statements where statement like 'insert into inbox%%'"
    await write(narrow, id)
    for _ in range(3):
        with pytest.raises(IntegrityError):
            await write(narrow, id)
    assert await narrow.driver_reads().fetch_one(prepared) == (1,)


async def test_one_round_trip_of_a_connection_at_a_time(narrow: Database) -> None:
    async with narrow.driver_transaction() as driver, driver.round_trip() as connection:
        result = await send(connection, "select 1")
        with pytest.raises(RuntimeError, match="end of its round trip"):
            await result.fetchone()
        with pytest.raises(RuntimeError, match="is open"):
            async with pipelined(connection):
                pass


async def test_percent_signs_and_many_values(narrow: Database) -> None:
    row = await narrow.driver_reads().fetch_one("select %s || '%%', %s::int, %s::uuid, %s::text", "a", 1, None, "%s")
    assert row == ("a%", 1, None, "%s")
    large = "x" * 3_000_000
    async with narrow.driver_transaction() as driver:
        results = [await driver.execute("select %s::text", large) for _ in range(2)]
        async with driver.round_trip() as connection:
            results += [await send(connection, "select %s::text", large) for _ in range(4)]
    assert {len(str((await result.fetchone() or [""])[0])) for result in results} == {len(large)}


async def test_statements_stay_usable_after_a_savepoint_is_rolled_back(narrow: Database) -> None:
    """psycopg then discards everything that the connection has prepared, also what it has not prepared itself."""
    reads = narrow.driver_reads()
    assert await reads.fetch_one("select 'prepared'") == ("prepared",)
    async with narrow.transaction() as session:
        for _ in range(10):  # often enough for psycopg to prepare it
            await session.execute(text("select 1"))
        async with session.begin_nested() as savepoint:
            await session.execute(text("select 2"))
            await savepoint.rollback()
        await session.execute(text("select 3"))
    assert await reads.fetch_one("select 'prepared'") == ("prepared",)


async def test_a_server_that_is_down_raises_the_error_of_a_session(settings: Settings) -> None:
    nowhere = Database(settings, url="postgresql+psycopg://nobody@127.0.0.1:9/none")
    with pytest.raises(OperationalError):
        await nowhere.driver_reads().fetch_one("select 1")
    with pytest.raises(OperationalError):
        await write(nowhere, uuid4())
    await nowhere.close()
