"""A relay that is stopped (SIGSTOP) and wakes up after another one has taken over sends nothing any more."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from sqlalchemy import text

from tests.crashes.stage import Stage
from tests.infra.kafka.kafka_line import Line
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import ensure_topics
from ticketing.infra.outbox.reader import LEASE_SECONDS

pytestmark = pytest.mark.kafka

ROWS, SEATS = 20_000, 50
ROUNDS = 2
#: So many publish at once, and are stopped at some moment: one of three would have something in hand.
PUBLISHERS = 4
#: What a process that wakes up would still have to send, it sends at once.
AFTERMATH_SECONDS = 4
PATIENCE_SECONDS = 90

FILL = """
insert into outbox (message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select gen_random_uuid(), :topic, seat, 1, jsonb_build_object('seat', seat, 'coat', n), '', '', ''
  from generate_series(0, :rows - 1) n, lateral (select 'S' || n % :seats as seat) s"""

IS_DRAINED = """
select not exists (select from outbox o, outbox_cursor c
                    where c.reader = 'relay' and o.xid >= c.window_from and o.id > c.last_id)"""

HOLDER = "select split_part(lease_owner, ':', 2)::int from outbox_cursor where reader = 'relay'"


@pytest.fixture
def settings(settings: Settings, kafka_broker: KafkaBroker) -> Settings:
    return settings.model_copy(update={"kafka_bootstrap_servers": kafka_broker.bootstrap, "kafka_partitions": 3})


@pytest.fixture
async def line(database: Database, settings: Settings) -> Line:
    line = Line(database, settings)
    await ensure_topics(settings.kafka_bootstrap_servers, [line.topic], partitions=settings.kafka_partitions)
    await asyncio.to_thread(_await_leaders, line, line.topic)
    return line


def _await_leaders(line: Line, topic: str) -> None:
    """A topic is there before its partitions have leaders."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            ends(line, topic)
            return
        except KafkaException:
            assert time.monotonic() < end
            time.sleep(0.1)


async def fill(line: Line) -> None:
    async with line.database.transaction() as session:
        await session.execute(text(FILL), {"topic": line.topic, "seats": SEATS, "rows": ROWS})


def ends(line: Line, topic: str = "") -> list[int]:
    """How many records each partition has got."""
    with Consumer(line._reader_settings("ends")) as reader:
        partitions = [TopicPartition(topic or line.topic, number) for number in range(line.settings.kafka_partitions)]
        return [reader.get_watermark_offsets(each, timeout=20)[1] for each in partitions]


async def answer(line: Line, query: str) -> int:
    async with line.database.transaction() as session:
        return int(await session.scalar(text(query)) or 0)


async def comes_true(condition: Callable[[], Awaitable[object]], stage: Stage) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < end, stage.said()
        await asyncio.sleep(0.05)


async def wake_up_in_vain(line: Line, stage: Stage, pid: int) -> None:
    """Wait until its successor has sent everything; then let it go on, and see that nothing comes of it."""
    await comes_true(lambda: answer(line, IS_DRAINED), stage)
    left = await asyncio.to_thread(ends, line)
    os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(AFTERMATH_SECONDS)
    assert await asyncio.to_thread(ends, line) == left


async def tells_the_log(line: Line, rounds: int) -> None:
    """Every fact is there, and who skips repetitions finds each seat's in the order of the log."""
    count = sum(await asyncio.to_thread(ends, line))
    records = await asyncio.to_thread(line.records, count, seconds=120)
    firsts: dict[bytes, list[int]] = {}
    seen = set()
    for record in records:
        if (message_id := dict(record.headers())["message_id"]) not in seen:
            seen.add(message_id)
            firsts.setdefault(record.key(), []).append(orjson.loads(record.value())["coat"])
    assert len(seen) == rounds * ROWS
    for number in range(SEATS):
        assert firsts[f"S{number}".encode()] == rounds * [*range(number, ROWS, SEATS)]


async def test_relays_that_are_stopped_at_any_moment_send_nothing_when_they_wake_up(line: Line, stage: Stage) -> None:
    await stage.worker("relay")
    await stage.worker("relay")
    stopped_amid = 0
    for number in range(1, ROUNDS + 1):
        before = sum(await asyncio.to_thread(ends, line))
        await fill(line)

        async def has_begun(before: int = before) -> bool:
            return sum(await asyncio.to_thread(ends, line)) > before

        await comes_true(has_begun, stage)
        await asyncio.sleep(random.uniform(0, 0.3))
        pid = await answer(line, HOLDER)
        os.kill(pid, signal.SIGSTOP)
        stopped_amid += sum(await asyncio.to_thread(ends, line)) < number * ROWS
        await wake_up_in_vain(line, stage, pid)
    assert stopped_amid, "every backlog was gone before its relay could be stopped"
    await tells_the_log(line, ROUNDS)


@pytest.mark.parametrize("point", ["before_produce:2", "amid_produce:3000", "after_produce_before_cursor:2"])
async def test_a_relay_that_is_stopped_at_a_point_sends_nothing_when_it_wakes_up(
    line: Line, stage: Stage, point: str
) -> None:
    await fill(line)
    relay = await stage.worker("relay", f"{point}:stop")

    async def is_stopped() -> bool:
        return ") T " in await asyncio.to_thread(Path(f"/proc/{relay.pid}/stat").read_text)

    await comes_true(is_stopped, stage)
    await stage.worker("relay")
    await wake_up_in_vain(line, stage, relay.pid)
    await tells_the_log(line, 1)


async def test_what_a_producer_had_in_hand_when_it_was_stopped_is_refused_when_it_wakes_up(
    line: Line, stage: Stage
) -> None:
    """A request that was being made is sent on waking, whatever our clocks say: the broker's own has to refuse it."""
    bootstrap = line.settings.kafka_bootstrap_servers
    topics = [f"{line.topic}.{number}" for number in range(PUBLISHERS)]
    await ensure_topics(bootstrap, topics, partitions=line.settings.kafka_partitions)
    for topic in topics:
        await asyncio.to_thread(_await_leaders, line, topic)
    publishers = [await stage.start("tests.crashes.publisher", bootstrap, topic) for topic in topics]

    async def all_publish() -> bool:
        return all([sum(await asyncio.to_thread(ends, line, topic)) > 0 for topic in topics])

    await comes_true(all_publish, stage)
    for publisher in publishers:
        await asyncio.sleep(random.uniform(0.05, 0.3))
        publisher.send_signal(signal.SIGSTOP)
    await asyncio.sleep(LEASE_SECONDS)
    left = [await asyncio.to_thread(ends, line, topic) for topic in topics]
    for publisher in publishers:
        publisher.send_signal(signal.SIGCONT)
    for publisher in publishers:
        assert await asyncio.wait_for(publisher.wait(), PATIENCE_SECONDS) == 0, stage.said()
    assert [await asyncio.to_thread(ends, line, topic) for topic in topics] == left
