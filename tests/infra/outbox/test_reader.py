"""Reading the log: every row once and in order, whatever commits late, and the cursor behind what is acknowledged."""

from contextlib import AsyncExitStack
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.outbox import Message
from ticketing.infra.outbox import reader as reader_module
from ticketing.infra.outbox.reader import LEASE_SECONDS, LeaseLost, LogReader


class SeatPainted(Message):
    topic: ClassVar[str] = "seat.painted"
    key_field: ClassVar[str] = "seat_id"

    seat_id: UUID
    colour: str


UNREAD_ROWS = "select count(*) from outbox o, outbox_cursor c where o.id > c.last_id and o.xid >= c.window_from"

#: Thirty thousand rows over three days.
FILL = """
insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select current_date + n % 3, gen_random_uuid(), 'seat.painted', n::text, 1, '{}', '', '', ''
  from generate_series(1, 30000) n"""


def painted(seat_id: UUID, colour: str) -> SeatPainted:
    return SeatPainted(seat_id=seat_id, colour=colour)


async def write(database: Database, *messages: Message) -> None:
    async with database.transaction() as session:
        for message in messages:
            outbox.publish(session, message)


async def reader_of(database: Database, name: str = "tests", owner: str = "me", page_rows: int = 500) -> LogReader:
    reader = LogReader(database, name, owner, page_rows=page_rows)
    assert await reader.acquire()
    return reader


async def write_colours(database: Database, names: str) -> None:
    """Publish a message per letter, each in a transaction of its own."""
    for name in names:
        await write(database, painted(uuid4(), name))


async def read_colours(reader: LogReader) -> list[str]:
    """The next page."""
    return [delivery.payload["colour"] for delivery in await reader.read()]


async def colours(reader: LogReader) -> list[str]:
    """Read to the end, each page acknowledged before the next one is read."""
    seen = []
    while page := await reader.read():
        seen += [delivery.payload["colour"] for delivery in page]
        reader.acknowledge(page[-1].log_id)
    return seen


async def unread(database: Database) -> int:
    """How many committed rows are past the cursor."""
    async with database.transaction() as session:
        return int(await session.scalar(text(UNREAD_ROWS)) or 0)


async def test_a_reader_gets_every_row_once_and_in_order(database: Database) -> None:
    seat = uuid4()
    await write(database, *[painted(seat, str(n)) for n in range(7)])
    reader = await reader_of(database, page_rows=3)
    assert await colours(reader) == [str(n) for n in range(7)]
    await write(database, painted(seat, "again"))
    assert await colours(reader) == ["again"]
    assert await unread(database) == 0


class SeatMoved(Message):
    topic: ClassVar[str] = "seat.moved"
    key_field: ClassVar[str] = "seat_id"

    seat_id: UUID


async def test_a_reader_of_some_topics_skips_the_others_once(database: Database) -> None:
    seat = uuid4()
    reader = LogReader(database, "tests", "me", ["seat.painted"], page_rows=1)
    assert await reader.acquire()
    await write(database, SeatMoved(seat_id=seat), painted(seat, "one"), SeatMoved(seat_id=seat), painted(seat, "two"))
    assert await colours(reader) == ["one", "two"]
    await write(database, SeatMoved(seat_id=seat))
    assert await colours(reader) == []
    async with database.transaction() as session:
        behind = "select count(*) from outbox o, outbox_cursor c where c.reader = 'tests' and o.xid >= c.window_from"
        assert await session.scalar(text(behind)) == 0


async def test_a_row_that_commits_late_is_not_lost(database: Database) -> None:
    """`id > last` would skip it: its id is smaller than one that was read before."""
    reader = await reader_of(database)
    async with database.transaction() as late:
        outbox.publish(late, painted(uuid4(), "late"))
        await late.flush()
        await write(database, painted(uuid4(), "early"))
        # The window ends before the oldest running transaction.
        assert await colours(reader) == []
    assert await colours(reader) == ["late", "early"]


async def test_two_transactions_on_one_seat_keep_its_order(database: Database) -> None:
    """The one that began first writes last: ordering by transaction would swap the messages."""
    seat = uuid4()
    reader = await reader_of(database)
    async with database.transaction() as first:
        await first.execute(select(func.pg_current_xact_id()))
        await write(database, painted(seat, "one"))
        outbox.publish(first, painted(seat, "two"))
    assert await colours(reader) == ["one", "two"]


async def test_a_third_transaction_does_not_swap_two_messages_of_one_key(database: Database) -> None:
    """The horizon is between them: it lets the later message through, and holds the earlier one back."""
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


async def test_a_window_ends_before_the_first_of_a_chain_of_overlapping_messages(database: Database) -> None:
    """Each other end of the window would fall between two other messages."""
    seats, reader = [uuid4() for _ in range(3)], await reader_of(database)
    async with AsyncExitStack() as stack:
        begun = [await stack.enter_async_context(database.transaction()) for _ in range(4)]
        for session in begun:  # in this order they get their transaction ids
            await session.execute(select(func.pg_current_xact_id()))
        zero, one, two, horizon = begun
        outbox.publish(zero, painted(seats[2], "before all of it"))
        await zero.commit()
        await write(database, painted(seats[0], "first"))  # after the horizon
        outbox.publish(two, painted(seats[1], "first"))
        outbox.publish(two, painted(seats[0], "second"))
        await two.commit()
        outbox.publish(one, painted(seats[1], "second"))
        await one.commit()
        assert await colours(reader) == ["before all of it"]
        await horizon.commit()
    assert await colours(reader) == ["first", "first", "second", "second"]


async def test_a_rolled_back_message_is_not_read(database: Database) -> None:
    async def roll_back() -> None:
        async with database.transaction() as session:
            outbox.publish(session, painted(uuid4(), "no"))
            await session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await roll_back()
    assert await colours(await reader_of(database)) == []


async def test_a_page_is_read_ahead_and_the_cursor_stays_behind_what_is_acknowledged(database: Database) -> None:
    await write_colours(database, "abcde")
    reader = await reader_of(database, page_rows=2)
    first, second = await reader.read(), await reader.read()
    assert [delivery.payload["colour"] for delivery in (*first, *second)] == [*"abcd"]
    assert await unread(database) == 5
    reader.acknowledge(first[-1].log_id)
    third = await reader.read()
    assert ([delivery.payload["colour"] for delivery in third], await unread(database)) == (["e"], 3)
    # At the window's end nothing more is read until everything is acknowledged.
    await write_colours(database, "f")
    assert await reader.read() == []
    reader.acknowledge(second[-1].log_id)
    assert await reader.read() == []
    reader.acknowledge(third[-1].log_id)
    assert await read_colours(reader) == ["f"]


async def test_rows_that_were_not_acknowledged_are_read_again_after_acquire(database: Database) -> None:
    await write_colours(database, "abcde")
    reader = await reader_of(database, page_rows=2)
    reader.acknowledge((await reader.read())[-1].log_id)
    await reader.read()
    await reader.read()  # moves the cursor past the first page; the second and the third page are lost
    assert await reader.acquire()
    assert await colours(reader) == [*"cde"]


async def test_a_process_that_ends_settles_what_it_has_acknowledged(database: Database) -> None:
    await write_colours(database, "abc")
    reader = await reader_of(database, page_rows=2)
    reader.acknowledge((await reader.read())[-1].log_id)
    await reader.settle()
    await reader.release()
    assert await colours(await reader_of(database, owner="next")) == ["c"]


async def test_settling_at_the_end_of_a_window_skips_nothing_of_the_next_one(database: Database) -> None:
    reader = await reader_of(database)
    await write_colours(database, "ab")
    page = await reader.read()
    await write_colours(database, "cd")  # in the next window, which `advance` opens
    await reader.advance(page[-1].log_id)
    assert await colours(reader) == [*"cd"]


async def test_a_window_that_a_dead_reader_left_open_is_closed_by_its_successor(database: Database) -> None:
    await write_colours(database, "ab")
    reader = await reader_of(database, page_rows=2)
    reader.acknowledge((await reader.read())[-1].log_id)
    await reader.settle()  # everything is done, and the window is still open
    await reader.release()
    await write_colours(database, "c")
    assert await colours(await reader_of(database, owner="next")) == ["c"]


async def test_readers_are_independent_of_each_other(database: Database) -> None:
    await write(database, painted(uuid4(), "red"))
    assert await colours(await reader_of(database, "one")) == ["red"]
    assert await colours(await reader_of(database, "two")) == ["red"]


async def test_only_one_process_reads_for_a_reader(database: Database) -> None:
    first = await reader_of(database, owner="first")
    second = LogReader(database, "tests", "second")
    assert not await second.acquire()
    await first.release()
    assert await second.acquire()


async def test_a_standby_reader_writes_nothing_and_takes_over_an_expired_lease(database: Database) -> None:
    async def cursor() -> list[object]:
        async with database.transaction() as session:
            # A locked row keeps the id of the transaction that locked it.
            return [*(await session.execute(text("select xmin, xmax, fence from outbox_cursor"))).one()]

    await reader_of(database, owner="killed")
    before = await cursor()
    successor = LogReader(database, "tests", "successor")
    assert not await successor.acquire()
    assert await cursor() == before
    async with database.transaction() as session:
        seconds = await session.scalar(text("select extract(epoch from lease_until - now()) from outbox_cursor"))
        assert seconds <= LEASE_SECONDS
        await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 millisecond'"))
    assert await successor.acquire()


async def test_a_paused_reader_neither_reads_nor_moves_the_cursor(database: Database) -> None:
    await write_colours(database, "abc")
    paused = await reader_of(database, owner="paused", page_rows=2)
    paused.acknowledge((await paused.read())[-1].log_id)
    async with database.transaction() as session:  # its lease runs out while it is stopped
        await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 second'"))
    successor = await reader_of(database, owner="successor")
    for act in (paused.read, paused.settle, paused.renew):
        with pytest.raises(LeaseLost):
            await act()
    assert await colours(successor) == [*"abc"]


async def test_an_idle_reader_writes_nothing_until_its_lease_is_due(database: Database) -> None:
    async def cursor() -> object:
        async with database.transaction() as session:
            return (await session.execute(text("select xmin, xmax, lease_until from outbox_cursor"))).one()

    reader = await reader_of(database)
    assert await reader.read() == []
    before = await cursor()
    assert await reader.read() == []
    assert await cursor() == before
    reader.held_at -= reader_module.RENEW_SECONDS
    assert await reader.read() == []
    assert await cursor() != before


@pytest.mark.parametrize("is_analyzed", [False, True])
async def test_pages_are_read_by_primary_key_whatever_the_statistics(
    database: Database, owner: Database, is_analyzed: bool
) -> None:
    """Over several days. By the index of transactions, each page would read its whole window and sort it."""
    async with owner.transaction() as session:
        await session.execute(text(FILL))
        if is_analyzed:
            await session.execute(text("analyze outbox"))
    reader = await reader_of(database)
    await reader.read()
    me = ("tests", 1)
    pages = await plan_of(database, reader_module._PAGE, 0, *me, *me, *me, 2000)
    pages_of_topics = await plan_of(database, reader_module._PAGE_OF_TOPICS, 0, *me, *me, *me, ["seat.painted"], 2000)
    window = await plan_of(database, reader_module._MOVE, False, 0, "tests", 6, *me)
    for day in await days(database):
        for plan in (pages, pages_of_topics):
            assert f"outbox_{day}_pkey" in plan
            assert "Sort  (" not in plan
        assert f"outbox_{day}_xid_id_idx" in window
        assert f"Seq Scan on outbox_{day}" not in pages + pages_of_topics + window


async def plan_of(database: Database, query: str, *values: object) -> str:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(f"select {reader_module.MOVE_SETTINGS}")
        lines = await connection.exec_driver_sql(f"explain {query}", values)
        return "\n".join(line for (line,) in lines)


async def days(database: Database) -> list[str]:
    """The partitions that have rows."""
    async with database.transaction() as session:
        return [*await session.scalars(text("select distinct to_char(occurred_at, 'YYYYMMDD') from outbox"))]
