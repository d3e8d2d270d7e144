"""Days of the log are dropped while it is read and written: nothing deadlocks, and nothing waits for long."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests.infra.outbox.test_reader import colours, painted, reader_of, write
from tests.workers.test_partitions import MAKE_DAY, read, scalars
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.workers import scheduler

FIRST_DAY, DAYS = 9, 5
FILL = """
insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select now() - make_interval(days => {day}), gen_random_uuid(), 'bell.rung', 'k', 1, '{{}}', '', '', ''
  from generate_series(1, 2000) n"""
STEP = "select drop_outbox_partitions(7, false)"
OLD_TABLES = """
select relname from pg_class where relkind = 'r' and relname ~ '^outbox_(detached_)?[0-9]{8}$'
   and right(relname, 8) < to_char(current_date, 'YYYYMMDD') order by 1"""
#: Seconds that statements on the log have waited for a lock so far, other than the one that drops a partition.
WAITS = """
select coalesce(max(extract(epoch from clock_timestamp() - l.waitstart)), 0)::float8
  from pg_locks l join pg_inherits i on l.relation in (i.inhrelid, i.inhparent)
 where i.inhparent = 'outbox'::regclass and not l.granted and l.mode <> 'AccessExclusiveLock'"""
DROP_WAITS = "select true from pg_locks where not granted and mode = 'AccessExclusiveLock'"
LOCK_TIMEOUT_SECONDS = 0.05


async def make_old_days(database: Database, owner: Database, days: int) -> None:
    """Partitions with rows, which the only reader has read."""
    async with owner.transaction() as session:
        for day in range(FIRST_DAY, FIRST_DAY + days):
            await session.execute(text(MAKE_DAY.format(days=day)))
            await session.execute(text(FILL.format(day=day)))
    assert len(await read(database, "tickets")) == days * 2000


async def drop(database: Database, settings: Settings) -> int:
    return await scheduler.run_job("drop_partitions", scheduler.drop_partitions, settings, database)


async def test_readers_and_writers_go_on_while_days_are_dropped(
    database: Database, owner: Database, settings: Settings
) -> None:
    await make_old_days(database, owner, DAYS)
    over, is_written, written, longest = asyncio.Event(), asyncio.Event(), [0], [0.0]

    async def write_on() -> None:
        while not over.is_set():
            await write(database, painted(uuid4(), "red"))
            written[0] += 1

    async def read_on() -> int:
        reader, found = await reader_of(database, "tickets"), 0
        while not is_written.is_set() or found < written[0]:
            found += len(await colours(reader))
        return found

    async def scan() -> None:
        while not over.is_set():
            await scalars(database, "select count(*) from outbox")

    async def watch() -> None:
        while not over.is_set():
            longest[0] = max(longest[0], *await scalars(owner, WAITS))

    async def drop_all() -> None:
        try:
            while await scalars(owner, OLD_TABLES):
                await drop(database, settings)
                await scheduler.run_job("keep_partitions", scheduler.keep_partitions, settings, database)
        finally:
            over.set()

    reading = asyncio.create_task(read_on())
    work: list[Any] = [write_on(), write_on(), write_on(), scan(), scan(), watch(), drop_all()]
    await asyncio.gather(*work)
    is_written.set()
    assert await reading == written[0]
    assert await scalars(owner, "select deadlocks from pg_stat_database where datname = current_database()") == [0]
    # A wait for a deadlock, or for the removal of files, would take a second and more.
    assert longest[0] < 10 * LOCK_TIMEOUT_SECONDS


async def test_a_reader_in_a_transaction_and_a_writer_go_on_beside_a_drop_that_waits_for_them(
    database: Database, owner: Database, settings: Settings
) -> None:
    await make_old_days(database, owner, 1)
    async with owner.transaction() as reader:
        await reader.execute(text("lock table only outbox in access share mode"))
        dropping = asyncio.create_task(drop(database, settings))
        while not (dropping.done() or await scalars(owner, DROP_WAITS)):
            pass
        async with owner.transaction() as writer:
            await writer.execute(text(f"set local lock_timeout = '{10 * LOCK_TIMEOUT_SECONDS}s'"))
            await writer.execute(text(FILL.format(day=0)))
        # It holds the parent and now wants the partition: a drop that had locked the partition first would deadlock.
        assert await reader.scalar(text("select count(*) from outbox")) == 4000
    assert await dropping == 2
    assert await scalars(owner, "select deadlocks from pg_stat_database where datname = current_database()") == [0]


async def test_nothing_waits_for_a_lock_while_the_files_of_a_day_are_removed(
    database: Database, owner: Database
) -> None:
    await make_old_days(database, owner, 1)
    assert await scalars(database, STEP) == [1]
    async with database.transaction() as dropping:
        assert await dropping.scalar(text(STEP)) == 1
        async with owner.transaction() as session:
            await session.execute(text("set local lock_timeout = '1ms'"))
            await session.execute(text(FILL.format(day=0)))
            assert await session.scalar(text("select count(*) from outbox")) == 2000


async def test_a_day_that_was_detached_before_a_crash_is_dropped_by_the_next_run(
    database: Database, owner: Database, settings: Settings
) -> None:
    await make_old_days(database, owner, 1)
    assert await scalars(database, STEP) == [1]
    assert [name[:16] for name in await scalars(owner, OLD_TABLES)] == ["outbox_detached_"]
    await drop(database, settings)
    assert await scalars(owner, OLD_TABLES) == []


async def test_dropping_a_day_does_not_queue_behind_an_old_transaction(database: Database, owner: Database) -> None:
    """Everything that comes later would queue behind it, for each try."""
    await make_old_days(database, owner, 1)
    async with owner.transaction() as dump:
        await dump.execute(text("lock table outbox in access share mode"))
        await dump.execute(text("select pg_sleep(1.1)"))
        with pytest.raises(OperationalError, match="an old transaction"):
            await scalars(database, STEP)
