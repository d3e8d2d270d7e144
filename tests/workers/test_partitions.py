"""Partitions of the log: created ahead, filled from the default partition, dropped once every reader is past them."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text

from tests.support.world import World
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox.reader import LogReader
from ticketing.workers import cleaning, scheduler

OLD = 9
ROWS = """
insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select now() - make_interval(days => :days), gen_random_uuid(), 'bell.rung', 'k', 1, jsonb_build_object('n', n),
       '', '', '' from generate_series(1, :count) n"""
MAKE_DAY = """
do $$ begin
    execute format('create table outbox_%s partition of outbox for values from (%L) to (%L)',
                   to_char(current_date - {days}, 'YYYYMMDD'), current_date - {days}, current_date - {days} + 1);
end $$"""


async def keep(database: Database, settings: Settings) -> None:
    for name in ("keep_partitions", "drop_partitions"):
        await scheduler.run_job(name, scheduler.JOBS[name][0], settings, database)


async def write(database: Database, days: int, count: int) -> None:
    async with database.transaction() as session:
        await session.execute(text(ROWS), {"days": days, "count": count})


async def read(database: Database, reader: str) -> list[int]:
    log = LogReader(database, reader, "test")
    assert await log.acquire()
    found: list[int] = []
    while page := await log.read():
        found += [delivery.payload.get("n", 0) for delivery in page]
        await log.advance(page[-1].log_id)
    await log.release()
    return found


async def scalars(database: Database, query: str) -> Sequence[Any]:
    async with database.transaction() as session:
        return (await session.scalars(text(query))).all()


async def old_days(owner: Database) -> Sequence[str]:
    """Which partitions there are of days that are gone."""
    return await scalars(
        owner,
        """select relname from pg_class c join pg_inherits i on i.inhrelid = c.oid
            where i.inhparent = 'outbox'::regclass and relname < 'outbox_' || to_char(current_date, 'YYYYMMDD')""",
    )


@pytest.fixture
async def old_partition(owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(text(MAKE_DAY.format(days=OLD)))


@pytest.fixture(params=["", "127.0.0.1:1"], ids=["log", "kafka"])
def transport(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    return settings.model_copy(update={"kafka_bootstrap_servers": request.param})


@pytest.mark.usefixtures("old_partition")
async def test_no_partition_is_dropped_before_it_is_read(
    database: Database, owner: Database, transport: Settings
) -> None:
    reader, other = ("relay", "tickets") if transport.is_distributed else ("tickets", "relay")
    await write(database, days=OLD, count=3)
    await keep(database, transport)
    assert len(await old_days(owner)) == 1  # no reader has ever read
    assert await read(database, other) == [1, 2, 3]
    log = LogReader(database, reader, "test", page_rows=2)
    assert await log.acquire()
    await log.advance((await log.read())[-1].log_id)
    await log.release()
    async with owner.transaction() as session:  # the reader was not seen for more than a week
        await session.execute(text("update outbox_cursor set updated_at = now() - interval '9 days'"))
    await keep(database, transport)
    assert len(await old_days(owner)) == 1
    assert await read(database, reader) == [3]
    await keep(database, transport)
    assert await old_days(owner) == []


@pytest.mark.usefixtures("old_partition")
async def test_a_partition_that_is_being_written_is_not_dropped(
    database: Database, owner: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "LOCK_TRIES_MAX", 2)
    await read(database, "tickets")
    async with database.transaction() as session:
        await session.execute(text(ROWS), {"days": OLD, "count": 1})
        await keep(database, settings)
    assert await read(database, "tickets") == [1]
    await keep(database, settings)
    assert await old_days(owner) == []


async def test_rows_written_before_their_partition_existed_move_into_it(
    database: Database, owner: Database, settings: Settings
) -> None:
    for days in (0, 1, -2, -400):  # today's partition was late, and clocks were wrong in both directions
        day = f"outbox_' || to_char(current_date - {days}, 'YYYYMMDD')"
        async with owner.transaction() as session:
            drop = f"do $$ begin execute 'drop table if exists {day}; end $$"
            await session.execute(text(drop))
        await write(database, days=days, count=2)
    before = await scalars(owner, "select id || ' ' || xid || ' ' || occurred_at || payload from outbox order by id")
    assert await scalars(owner, "select count(*) from outbox_default") == [8]
    await keep(database, settings)
    assert await scalars(owner, "select count(*) from outbox_default") == [0]
    after = await scalars(owner, "select id || ' ' || xid || ' ' || occurred_at || payload from outbox order by id")
    assert after == before
    assert await read(database, "tickets") == [1, 2] * 4
    await write(database, days=1, count=1)
    assert await scalars(owner, "select count(*) from outbox_default") == [0]


@pytest.mark.usefixtures("old_partition")
async def test_the_inbox_remembers_what_the_log_can_redeliver(
    database: Database, owner: Database, settings: Settings
) -> None:
    await write(database, days=OLD, count=1)
    done = (
        "insert into inbox (consumer, message_id, done_at) values ('x', gen_random_uuid(), now() - interval '{} days')"
    )
    async with database.transaction() as session:
        await session.execute(text(done.format(OLD - 1)))
        await session.execute(text(done.format(OLD + 2)))
    remembered = "select count(*) from inbox"
    await scheduler.run_job("clean_inbox", cleaning.clean_inbox, settings, database)
    assert await scalars(database, remembered) == [1]
    await read(database, "tickets")
    await keep(database, settings)
    await scheduler.run_job("clean_inbox", cleaning.clean_inbox, settings, database)
    assert await scalars(database, remembered) == [0]


@pytest.mark.usefixtures("old_partition")
async def test_rows_that_a_webhook_endpoint_has_not_read_are_kept(
    database: Database, owner: Database, settings: Settings, world: World
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    await write(database, days=OLD, count=1)
    endpoint = """
        insert into webhook_endpoints (id, organization_id, url, sealed_secret, window_from)
        values (gen_random_uuid(), :organization_id, 'https://example.com', '', '0')"""
    async with owner.transaction() as session:
        await session.execute(text(endpoint), {"organization_id": tenant.id})
        await session.execute(text("alter table outbox disable trigger user"))
        await session.execute(text("update outbox set organization_id = :id"), {"id": tenant.id})
    await read(database, "tickets")
    await keep(database, settings)
    assert len(await old_days(owner)) == 1
    async with owner.transaction() as session:  # rows of another tenant are not kept for the endpoint
        await session.execute(text("update webhook_endpoints set organization_id = :id"), {"id": other.id})
    await keep(database, settings)
    assert await old_days(owner) == []
