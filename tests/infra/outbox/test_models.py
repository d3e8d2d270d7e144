"""The table of the log: append-only, and partitioned by day."""

from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from tests.infra.outbox.test_reader import painted, reader_of, write
from ticketing.infra.db import Database
from ticketing.infra.outbox import OutboxRow

TENANT = uuid4()
LONG_LOG = f"""
insert into outbox (message_id, organization_id, topic, key, schema_version, payload, correlation_id, traceparent,
                    actor)
select gen_random_uuid(), cast('{TENANT}' as uuid), 'seat.painted', n::text, 1, '{{}}', '', '', ''
  from generate_series(1, 20000) n"""


async def test_rows_of_the_log_are_never_changed(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    for statement in ("update outbox set topic = 'x'", "delete from outbox"):
        with pytest.raises(ProgrammingError, match="append-only"):
            async with database.transaction() as session:
                await session.execute(text(statement))


@pytest.mark.parametrize("tenant", ["", f", cast('{TENANT}' as uuid)"], ids=["of-all", "of-one"])
async def test_a_read_that_finds_nothing_reads_few_blocks_of_a_long_log(owner: Database, tenant: str) -> None:
    async with owner.transaction() as session:
        await session.execute(text(LONG_LOG))
    async with owner.transaction() as session:
        await session.execute(text("analyze outbox"))
        look = f"outbox_window_end(pg_current_xact_id(), pg_current_xact_id(){tenant})"
        for _ in range(7):  # the generic plan comes after five
            plan = await session.scalar(text(f"explain (analyze, buffers, format json) select {look}"))
        read = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    assert read < 100


async def test_old_partitions_are_dropped_and_new_ones_created(database: Database, owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(
            text("create table outbox_20200101 partition of outbox for values from ('2020-01-01') to ('2020-01-02')")
        )
    await reader_of(database)  # partitions without a reader are not dropped
    async with database.transaction() as session:
        steps = [await session.scalar(text("select drop_outbox_partitions(7, false)")) for _ in range(3)]
        assert steps == [1, 1, 0]  # detached, dropped
        await session.execute(text("select make_outbox_partitions(5)"))
        names = await session.scalars(
            text("select inhrelid::regclass::text from pg_inherits where inhparent = 'outbox'::regclass")
        )
        today = await session.scalar(text("select to_char(now() at time zone 'UTC', '\"outbox_\"YYYYMMDD')"))
    # The migrations may have run yesterday, and have created a partition for that day.
    assert len([name for name in names if name >= today]) == 7  # today, five days ahead, and the default


async def test_a_row_is_stored_in_the_partition_of_its_day(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    async with database.transaction() as session:
        partition = await session.scalar(select(text("tableoid::regclass::text")).select_from(OutboxRow))
    assert partition is not None
    assert partition != "outbox_default"
