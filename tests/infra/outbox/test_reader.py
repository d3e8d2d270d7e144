"""The log: nothing lost, nothing twice, in order, whatever commits late."""

from contextlib import AsyncExitStack
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import ProgrammingError

from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.outbox import Message, OutboxRow
from ticketing.infra.outbox.reader import LEASE_SECONDS, LeaseLost, LogReader


class SeatPainted(Message):
    topic: ClassVar[str] = "seat.painted"
    key_field: ClassVar[str] = "seat_id"

    seat_id: UUID
    colour: str


TENANT = uuid4()
LONG_LOG = f"""
insert into outbox (message_id, organization_id, topic, key, schema_version, payload, correlation_id, traceparent,
                    actor)
select gen_random_uuid(), cast('{TENANT}' as uuid), 'seat.painted', n::text, 1, '{{}}', '', '', ''
  from generate_series(1, 20000) n"""


def painted(seat_id: UUID, colour: str) -> SeatPainted:
    return SeatPainted(seat_id=seat_id, colour=colour)


async def write(database: Database, *messages: Message) -> None:
    async with database.transaction() as session:
        for message in messages:
            outbox.publish(session, message)


async def reader_of(database: Database, name: str = "tests", owner: str = "me") -> LogReader:
    reader = LogReader(database, name, owner)
    assert await reader.acquire()
    return reader


async def colours(reader: LogReader, limit: int = 500) -> list[str]:
    """Read to the end, page by page."""
    seen = []
    while page := await reader.read(limit):
        seen += [row.payload["colour"] for row in page]
        await reader.advance(page[-1].log_id)
    return seen


async def test_a_reader_gets_every_row_once_and_in_order(database: Database) -> None:
    seat = uuid4()
    await write(database, *[painted(seat, str(n)) for n in range(7)])
    reader = await reader_of(database)
    assert await colours(reader, limit=3) == [str(n) for n in range(7)]
    await write(database, painted(seat, "again"))
    assert await colours(reader, limit=3) == ["again"]


class SeatMoved(Message):
    topic: ClassVar[str] = "seat.moved"
    key_field: ClassVar[str] = "seat_id"

    seat_id: UUID


async def test_a_reader_of_some_topics_is_given_no_others_and_does_not_read_them_again(database: Database) -> None:
    seat = uuid4()
    reader = LogReader(database, "tests", "me", ["seat.painted"])
    assert await reader.acquire()
    await write(database, SeatMoved(seat_id=seat), painted(seat, "one"), SeatMoved(seat_id=seat), painted(seat, "two"))
    assert await colours(reader, limit=1) == ["one", "two"]
    await write(database, SeatMoved(seat_id=seat))
    assert await colours(reader) == []
    async with database.transaction() as session:
        behind = "select count(*) from outbox o, outbox_cursor c where c.reader = 'tests' and o.xid >= c.window_from"
        assert await session.scalar(text(behind)) == 0


async def test_a_row_that_commits_late_is_not_lost(database: Database) -> None:
    """`id > last` would have passed it: its number is smaller than one that is read already."""
    reader = await reader_of(database)
    async with database.transaction() as late:
        outbox.publish(late, painted(uuid4(), "late"))
        await late.flush()
        await write(database, painted(uuid4(), "early"))
        # The window ends before the oldest transaction that still runs.
        assert await colours(reader) == []
    assert await colours(reader) == ["late", "early"]


async def test_two_transactions_on_one_seat_keep_its_order(database: Database) -> None:
    """The one that began first writes last: ordering by transaction would swap the facts."""
    seat = uuid4()
    reader = await reader_of(database)
    async with database.transaction() as first:
        await first.execute(select(func.pg_current_xact_id()))
        await write(database, painted(seat, "one"))
        outbox.publish(first, painted(seat, "two"))
    assert await colours(reader) == ["one", "two"]


async def test_a_third_transaction_between_two_facts_does_not_swap_them(database: Database) -> None:
    """The horizon stands between them: it lets the later fact through, and holds the earlier one back."""
    seat, reader = uuid4(), await reader_of(database)
    async with database.transaction() as third:
        async with database.transaction() as first:
            await first.execute(select(func.pg_current_xact_id()))
            await third.execute(select(func.pg_current_xact_id()))
            await write(database, painted(uuid4(), "another seat"), painted(seat, "one"))
            outbox.publish(first, painted(seat, "two"))
        before = await colours(reader)
    assert before == []
    assert await colours(reader) == ["another seat", "one", "two"]


async def test_a_window_ends_before_the_first_of_a_chain_of_such_facts(database: Database) -> None:
    """Where it would end otherwise falls between two other facts, and so on."""
    seats, reader = [uuid4() for _ in range(3)], await reader_of(database)
    async with AsyncExitStack() as stack:
        begun = [await stack.enter_async_context(database.transaction()) for _ in range(4)]
        for session in begun:  # in this order they are given their numbers
            await session.execute(select(func.pg_current_xact_id()))
        zero, one, two, horizon = begun
        outbox.publish(zero, painted(seats[2], "before all of it"))
        await zero.commit()
        await write(database, painted(seats[0], "first"))  # behind the horizon
        outbox.publish(two, painted(seats[1], "first"))
        outbox.publish(two, painted(seats[0], "second"))
        await two.commit()
        outbox.publish(one, painted(seats[1], "second"))
        await one.commit()
        assert await colours(reader) == ["before all of it"]
        await horizon.commit()
    assert await colours(reader) == ["first", "first", "second", "second"]


async def test_a_rolled_back_fact_never_happened(database: Database) -> None:
    async def change_its_mind() -> None:
        async with database.transaction() as session:
            outbox.publish(session, painted(uuid4(), "no"))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await change_its_mind()
    assert await colours(await reader_of(database)) == []


async def test_a_crash_before_advance_brings_the_page_again(database: Database) -> None:
    await write(database, *[painted(uuid4(), str(n)) for n in range(4)])
    first = await reader_of(database)
    page = await first.read(2)
    await first.advance(page[-1].log_id)
    await first.read(2)  # taken, and then the process is gone
    await first.release()
    assert await colours(await reader_of(database, owner="next")) == ["2", "3"]


async def test_readers_do_not_disturb_one_another(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    assert await colours(await reader_of(database, "one")) == ["red"]
    assert await colours(await reader_of(database, "two")) == ["red"]


async def test_only_one_process_reads_for_a_reader(database: Database) -> None:
    first = await reader_of(database, owner="first")
    second = LogReader(database, "tests", "second")
    assert not await second.acquire()
    await first.release()
    assert await second.acquire()


async def test_who_stands_by_leaves_no_trace_and_takes_over_when_the_lease_has_run_out(database: Database) -> None:
    async def trace() -> list[object]:
        async with database.transaction() as session:
            # A row that was locked keeps the number of who has locked it.
            return [*(await session.execute(text("select xmin, xmax, fence from outbox_cursor"))).one()]

    await reader_of(database, owner="killed")
    left = await trace()
    successor = LogReader(database, "tests", "successor")
    assert not await successor.acquire()
    assert await trace() == left
    async with database.transaction() as session:
        seconds = await session.scalar(text("select extract(epoch from lease_until - now()) from outbox_cursor"))
        assert seconds <= LEASE_SECONDS
        await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 millisecond'"))
    assert await successor.acquire()


async def test_a_reader_that_was_paused_can_neither_read_nor_advance(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    paused = await reader_of(database, owner="paused")
    page = await paused.read()
    async with database.transaction() as session:  # its lease runs out while it sleeps
        await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 second'"))
    successor = await reader_of(database, owner="successor")
    with pytest.raises(LeaseLost):
        await paused.advance(page[-1].log_id)
    with pytest.raises(LeaseLost):
        await paused.read()
    assert await colours(successor) == ["red"]


async def test_rows_of_the_log_are_never_changed(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    for statement in ("update outbox set topic = 'x'", "delete from outbox"):
        with pytest.raises(ProgrammingError, match="append-only"):
            async with database.transaction() as session:
                await session.execute(text(statement))


@pytest.mark.parametrize("tenant", ["", f", cast('{TENANT}' as uuid)"], ids=["of-all", "of-one"])
async def test_a_look_that_finds_nothing_reads_next_to_nothing_of_a_long_log(owner: Database, tenant: str) -> None:
    async with owner.transaction() as session:
        await session.execute(text(LONG_LOG))
    async with owner.transaction() as session:
        await session.execute(text("analyze outbox"))
        look = f"outbox_window_end(pg_current_xact_id(), pg_current_xact_id(){tenant})"
        for _ in range(7):  # the plan that stays comes after five
            plan = await session.scalar(text(f"explain (analyze, buffers, format json) select {look}"))
        read = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    assert read < 100


async def test_old_partitions_are_dropped_and_new_ones_made(database: Database, owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(
            text("create table outbox_20200101 partition of outbox for values from ('2020-01-01') to ('2020-01-02')")
        )
    await reader_of(database)  # what nobody reads is not dropped
    async with database.transaction() as session:
        assert await session.scalar(text("select drop_outbox_partitions(7, false)")) == 1
        await session.execute(text("select make_outbox_partitions(5)"))
        names = await session.scalars(
            text("select inhrelid::regclass::text from pg_inherits where inhparent = 'outbox'::regclass")
        )
        today = await session.scalar(text("select to_char(now() at time zone 'UTC', '\"outbox_\"YYYYMMDD')"))
    # The migrations may have run yesterday, and have made a partition for that day.
    assert len([name for name in names if name >= today]) == 7  # today, five days ahead, and the default


async def test_a_row_finds_its_day(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    async with database.transaction() as session:
        partition = await session.scalar(select(text("tableoid::regclass::text")).select_from(OutboxRow))
    assert partition is not None
    assert partition != "outbox_default"
