"""Delivery: exactly one effect per message, in order, retries during outages, and dead letters for poison."""

import asyncio
import time
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from tests.infra.bus.message_fixtures import BellRung, Counter, make_counter, ring, rung
from tests.support.drain import drain_group
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra import log, outbox
from ticketing.infra.bus import Group, Retry
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.db import Database
from ticketing.infra.outbox.reader import LeaseLost, LogReader


@pytest.fixture
async def counter(owner: Database) -> Counter:
    return await make_counter(owner)


@pytest.fixture
def group(counter: Counter) -> Group:
    return Group("ringers", {BellRung: counter})


async def test_effects_come_in_order(database: Database, group: Group) -> None:
    await ring(database, *range(20))
    await drain_group(database, group)
    assert await rung(database) == list(range(20))


async def test_a_redelivery_has_no_effect(database: Database, group: Group) -> None:
    await ring(database, 1)
    await drain_group(database, group)
    async with database.transaction() as session:  # the cursor is lost, the inbox is not
        await session.execute(text("update outbox_cursor set window_from = '0', window_to = null, last_id = 0"))
    assert await drain_group(database, group) == 1
    assert await rung(database) == [1]


async def test_an_effect_and_its_inbox_row_commit_together(database: Database, group: Group, counter: Counter) -> None:
    counter.fail[1] = [ValueError("after the effect")]
    await ring(database, 1)
    await drain_group(database, group)
    assert counter.calls == [1, 1]
    assert await rung(database) == [1]


async def test_poison_becomes_a_dead_letter_and_its_neighbours_are_delivered(
    database: Database, group: Group, counter: Counter
) -> None:
    counter.fail[2] = [ValueError("no such bell")] * 9
    await ring(database, 1, 2, 3)
    await drain_group(database, group, attempts_max=3)
    assert await rung(database) == [1, 3]
    async with database.transaction() as session:
        dead_letter = (await session.scalars(select(DeadLetter))).one()
    assert (dead_letter.consumer, dead_letter.topic, dead_letter.attempts) == ("ringers", "bell.rung", 3)
    assert "no such bell" in dead_letter.error
    assert dead_letter.message["payload"]["times"] == 2


async def test_an_outage_does_not_count_as_a_failed_attempt(database: Database, group: Group, counter: Counter) -> None:
    lost = OperationalError("select", {}, Exception("connection lost"))
    counter.fail[1] = [Retry(), lost, lost, Retry(), ConnectionError()]
    await ring(database, 1, 2)
    started = time.monotonic()
    await drain_group(database, group, attempts_max=1)
    assert time.monotonic() - started > 0.1  # it backed off before the next message
    assert await rung(database) == [1, 2]


async def test_a_message_retried_during_an_outage_stops_with_its_process(
    database: Database, group: Group, counter: Counter
) -> None:
    counter.fail[1] = [Retry()] * 1000
    await ring(database, 1)
    consumer, stop = LogConsumer(database, group, asyncio.Event(), 3), asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    while len(counter.calls) < 2:  # noqa: ASYNC110 (the handler sets no event)
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, PATIENCE_SECONDS)
    counter.fail.clear()
    await drain_group(database, group)
    assert await rung(database) == [1]


async def test_a_newer_schema_version_becomes_a_dead_letter_at_once(database: Database, group: Group) -> None:
    class NewBellRung(BellRung):
        schema_version: ClassVar[int] = 2

    async with database.transaction() as session:
        outbox.publish(session, NewBellRung(bell_id=uuid4(), times=1))
    await ring(database, 2)
    await drain_group(database, group, attempts_max=8)
    async with database.transaction() as session:
        dead_letter = (await session.scalars(select(DeadLetter))).one()
    assert dead_letter.attempts == 1, "a retry would not help"
    assert "bell.rung has schema version 2, and 1 is the newest known here" in dead_letter.error
    assert await rung(database) == [2], "the next message is not delayed"


async def test_an_older_schema_version_is_delivered(database: Database, counter: Counter) -> None:
    class LouderBellRung(BellRung):
        schema_version: ClassVar[int] = 2
        volume: int = 3

    await ring(database, 1)
    await drain_group(database, Group("louder", {LouderBellRung: counter}))
    assert await rung(database) == [1]


async def test_an_unknown_field_is_ignored(database: Database, group: Group) -> None:
    class LouderBellRung(BellRung):
        volume: int

    async with database.transaction() as session:
        outbox.publish(session, LouderBellRung(bell_id=uuid4(), times=5, volume=11))
    await drain_group(database, group)
    assert await rung(database) == [5]


async def test_the_correlation_id_reaches_the_handler(database: Database, group: Group, counter: Counter) -> None:
    token = log.correlation_id.set("from the request")
    await ring(database, 1)
    log.correlation_id.reset(token)
    await drain_group(database, group)
    assert counter.correlation_ids == ["from the request"]
    assert log.correlation_id.get() == ""


async def test_a_commit_notification_wakes_a_running_consumer(database: Database, group: Group) -> None:
    wake, stop = asyncio.Event(), asyncio.Event()
    consumer = LogConsumer(database, group, wake, 3)
    running = asyncio.create_task(consumer.run(stop))
    await asyncio.sleep(0.3)  # it has found nothing and sleeps
    await ring(database, 1)
    wake.set()
    await _eventually(lambda: rung(database), [1], seconds=PATIENCE_SECONDS)
    stop.set()
    await running
    assert await rung(database) == [1]


async def test_a_stopping_consumer_moves_its_cursor_past_what_it_processed(database: Database, group: Group) -> None:
    await ring(database, 1, 2)
    consumer, stop = LogConsumer(database, group, asyncio.Event(), 3), asyncio.Event()
    running = asyncio.create_task(consumer.run(stop))
    await _eventually(lambda: rung(database), [1, 2], seconds=PATIENCE_SECONDS)
    stop.set()
    await running
    successor = LogReader(database, group.name, "successor")
    assert await successor.acquire()
    assert await successor.read() == []


async def test_messages_processed_but_not_acknowledged_are_read_again(database: Database) -> None:
    await ring(database, 1, 2)
    reader = LogReader(database, "consumer", "one", page_rows=1)
    assert await reader.acquire()
    (first,) = await reader.read()
    reader.acknowledge(first.log_id)
    assert await LogReader(database, "consumer", "one").acquire()  # a process of the same name, started again
    with pytest.raises(LeaseLost):
        await reader.read()
    assert await reader.acquire()
    assert (await reader.read())[0].log_id == first.log_id


async def _eventually(query: Any, expected: object, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (result := await query()) != expected:
        assert time.monotonic() < deadline, result
        await asyncio.sleep(0.01)
