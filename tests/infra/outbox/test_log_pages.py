"""The relay's way through the log: a page ahead at most, and the cursor behind what is acknowledged."""

from uuid import uuid4

import orjson
import pytest
from sqlalchemy import text

from tests.infra.outbox.test_reader import painted, write
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.kafka import log_pages
from ticketing.infra.kafka.log_pages import Line, PageReader, delivery_of, record_of
from ticketing.infra.outbox import reader as outbox_reader
from ticketing.infra.outbox.reader import LeaseLost, LogReader

#: How many rows a reader has behind its cursor, of those that have been finished.
BEHIND = """
select count(*) from outbox o, outbox_cursor c where o.id > c.last_id and o.xid >= c.window_from"""

#: Thirty thousand rows over three days.
FILL = """
insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select current_date + n % 3, gen_random_uuid(), 'seat.painted', n::text, 1, '{}', '', '', ''
  from generate_series(1, 30000) n"""


async def reader_of(database: Database, owner: str = "me", page_rows: int = 2) -> PageReader:
    reader = PageReader(database, "relay", owner, page_rows)
    assert await reader.acquire()
    return reader


def colours_of(page: list[Line]) -> list[str]:
    return [delivery_of(line).payload["colour"] for line in page]


async def colours(reader: PageReader) -> list[str]:
    """Read to the end, each page acknowledged before the next one is asked for."""
    seen = []
    while page := await reader.turn():
        seen += colours_of(page)
        reader.acknowledge(page)
    return seen


async def test_a_third_transaction_between_two_facts_does_not_swap_them(database: Database) -> None:
    seat, reader = uuid4(), await reader_of(database)
    async with database.transaction() as third:
        async with database.transaction() as first:
            await first.execute(text("select pg_current_xact_id()"))
            await third.execute(text("select pg_current_xact_id()"))
            await write(database, painted(seat, "one"))
            outbox.publish(first, painted(seat, "two"))
        assert await colours(reader) == []
    assert await colours(reader) == ["one", "two"]


async def write_colours(database: Database, names: str) -> None:
    """Each in a transaction of its own."""
    for name in names:
        await write(database, painted(uuid4(), name))


async def behind(database: Database) -> int:
    async with database.transaction() as session:
        return int(await session.scalar(text(BEHIND)) or 0)


async def test_every_row_comes_once_and_in_order(database: Database) -> None:
    reader = await reader_of(database)
    await write_colours(database, "abcde")
    assert await colours(reader) == [*"abcde"]
    await write_colours(database, "fg")
    assert await colours(reader) == [*"fg"]
    assert await behind(database) == 0


async def test_a_page_is_read_ahead_and_the_cursor_stays_behind_what_is_acknowledged(database: Database) -> None:
    await write_colours(database, "abcde")
    reader = await reader_of(database)
    first = await reader.turn()
    second = await reader.turn()
    assert (colours_of(first), colours_of(second)) == ([*"ab"], [*"cd"])
    assert await behind(database) == 5
    reader.acknowledge(first)
    third = await reader.turn()
    assert (colours_of(third), await behind(database)) == (["e"], 3)
    # At the window's end nothing more is read until everything is acknowledged.
    await write_colours(database, "f")
    assert await reader.turn() == []
    reader.acknowledge(second)
    assert await reader.turn() == []
    reader.acknowledge(third)
    assert colours_of(await reader.turn()) == ["f"]


async def test_what_was_not_acknowledged_is_given_again(database: Database) -> None:
    await write_colours(database, "abcde")
    reader = await reader_of(database)
    reader.acknowledge(await reader.turn())
    await reader.turn()  # moves the cursor past the first page; the second one is lost on its way
    assert await reader.acquire()
    assert await colours(reader) == [*"cde"]


async def test_a_process_that_ends_settles_what_it_has_done(database: Database) -> None:
    await write_colours(database, "abc")
    reader = await reader_of(database)
    reader.acknowledge(await reader.turn())
    await reader.settle()
    await reader.release()
    assert await colours(await reader_of(database, "next")) == ["c"]


async def test_a_window_that_a_dead_reader_left_is_closed_by_its_successor(database: Database) -> None:
    await write_colours(database, "ab")
    reader = await reader_of(database)
    reader.acknowledge(await reader.turn())
    await reader.settle()  # everything is done, and the window is still open
    await reader.release()
    await write_colours(database, "c")
    assert await colours(await reader_of(database, "next")) == ["c"]


async def test_a_row_that_commits_late_is_not_lost(database: Database) -> None:
    reader = await reader_of(database)
    async with database.transaction() as late:
        outbox.publish(late, painted(uuid4(), "late"))
        await late.flush()
        await write_colours(database, "e")
        assert await colours(reader) == []
    assert await colours(reader) == ["late", "e"]


async def test_a_reader_that_was_paused_neither_reads_nor_moves_the_cursor(database: Database) -> None:
    await write_colours(database, "abc")
    paused = await reader_of(database, "paused")
    paused.acknowledge(await paused.turn())
    async with database.transaction() as session:  # its lease runs out while it sleeps
        await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 second'"))
    successor = await reader_of(database, "successor")
    for act in (paused.turn, paused.settle, paused.renew):
        with pytest.raises(LeaseLost):
            await act()
    assert await colours(successor) == [*"abc"]


@pytest.mark.parametrize("kind", [LogReader, PageReader])
async def test_a_reader_that_is_up_to_date_looks_without_writing(database: Database, kind: type[LogReader]) -> None:
    async def look() -> None:
        assert (await (reader.turn() if isinstance(reader, PageReader) else reader.read())) == []

    async def trace() -> object:
        async with database.transaction() as session:
            return (await session.execute(text("select xmin, xmax, lease_until from outbox_cursor"))).one()

    reader = kind(database, "tests", "me")
    assert await reader.acquire()
    await look()
    left = await trace()
    await look()
    assert await trace() == left
    reader.held_at -= outbox_reader.RENEW_SECONDS
    await look()
    assert await trace() != left


async def test_a_row_is_published_as_it_would_be_read(database: Database) -> None:
    seat = uuid4()
    await write(database, painted(seat, "grün \N{SNOWMAN}"))
    (line,) = await (await reader_of(database)).turn()
    log = LogReader(database, "tests", "me")
    assert await log.acquire()
    (delivery,) = await log.read()
    assert delivery_of(line) == delivery
    record = record_of(line)
    assert (record.topic, record.key) == ("seat.painted", str(seat))
    assert orjson.loads(record.value or b"") == delivery.payload


@pytest.mark.parametrize("is_counted", [False, True])
async def test_pages_come_from_the_primary_key_whatever_the_planner_believes(
    database: Database, owner: Database, is_counted: bool
) -> None:
    """Over several days. By the index of transactions, each page would read its whole window and sort it."""
    async with owner.transaction() as session:
        await session.execute(text(FILL))
        if is_counted:
            await session.execute(text("analyze outbox"))
    reader = await reader_of(database)
    await reader.turn()
    me = ("relay", 1)
    page = await plan_of(database, log_pages._PAGE, 0, *me, *me, *me, 2000)
    assert all(f"outbox_{day}_pkey" in page for day in await days(database))
    assert "Sort  (" not in page
    window = await plan_of(database, log_pages._MOVE, False, 0, "relay", 6, *me)
    assert all(f"outbox_{day}_xid_id_idx" in window for day in await days(database))
    assert not any(f"Seq Scan on outbox_{day}" in page + window for day in await days(database))


async def plan_of(database: Database, query: str, *values: object) -> str:
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(f"select {outbox_reader.QUICKLY}")
        lines = await connection.exec_driver_sql(f"explain {query}", values)
        return "\n".join(line for (line,) in lines)


async def days(database: Database) -> list[str]:
    """The partitions that have rows."""
    async with database.transaction() as session:
        return [*await session.scalars(text("select distinct to_char(occurred_at, 'YYYYMMDD') from outbox"))]
