"""A relay that is stopped (SIGSTOP) and resumes after a takeover publishes nothing more."""

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

from tests.crashes.processes import Processes
from tests.infra.kafka.pipeline import Pipeline
from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import ensure_topics
from ticketing.infra.outbox.reader import LEASE_SECONDS

pytestmark = pytest.mark.kafka

ROWS, SEATS = 20_000, 50
ROUNDS = 2
#: Processes that publish at the same time and are stopped at random: about one in three has records buffered.
PUBLISHERS = 4
#: A process that resumes would send its buffered records at once.
AFTER_RESUME_SECONDS = 4
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
async def pipeline(database: Database, settings: Settings) -> Pipeline:
    pipeline = Pipeline(database, settings)
    await ensure_topics(settings.kafka_bootstrap_servers, [pipeline.topic], partitions=settings.kafka_partitions)
    await asyncio.to_thread(_await_leaders, pipeline, pipeline.topic)
    return pipeline


def _await_leaders(pipeline: Pipeline, topic: str) -> None:
    """Wait for the leaders of a new topic's partitions."""
    end = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            ends(pipeline, topic)
            return
        except KafkaException:
            assert time.monotonic() < end
            time.sleep(0.1)


async def fill(pipeline: Pipeline) -> None:
    async with pipeline.database.transaction() as session:
        await session.execute(text(FILL), {"topic": pipeline.topic, "seats": SEATS, "rows": ROWS})


def ends(pipeline: Pipeline, topic: str = "") -> list[int]:
    """The number of records of each partition."""
    with Consumer(pipeline._reader_settings("ends")) as reader:
        partitions = [
            TopicPartition(topic or pipeline.topic, number) for number in range(pipeline.settings.kafka_partitions)
        ]
        return [reader.get_watermark_offsets(each, timeout=20)[1] for each in partitions]


async def query_int(pipeline: Pipeline, query: str) -> int:
    async with pipeline.database.transaction() as session:
        return int(await session.scalar(text(query)) or 0)


async def wait_for(condition: Callable[[], Awaitable[object]], processes: Processes) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < end, processes.output()
        await asyncio.sleep(0.05)


async def assert_publishes_nothing_on_resume(pipeline: Pipeline, processes: Processes, pid: int) -> None:
    """Wait until its successor has published everything, then resume it: it publishes nothing."""
    await wait_for(lambda: query_int(pipeline, IS_DRAINED), processes)
    left = await asyncio.to_thread(ends, pipeline)
    os.kill(pid, signal.SIGCONT)
    await asyncio.sleep(AFTER_RESUME_SECONDS)
    assert await asyncio.to_thread(ends, pipeline) == left


async def assert_topic_has_the_log(pipeline: Pipeline, rounds: int) -> None:
    """Every message is there, and without repetitions those of each seat are in the order of the log."""
    count = sum(await asyncio.to_thread(ends, pipeline))
    records = await asyncio.to_thread(pipeline.records, count, seconds=120)
    firsts: dict[bytes, list[int]] = {}
    seen = set()
    for record in records:
        if (message_id := dict(record.headers())["message_id"]) not in seen:
            seen.add(message_id)
            firsts.setdefault(record.key(), []).append(orjson.loads(record.value())["coat"])
    assert len(seen) == rounds * ROWS
    for number in range(SEATS):
        assert firsts[f"S{number}".encode()] == rounds * [*range(number, ROWS, SEATS)]


async def test_relays_stopped_at_any_moment_publish_nothing_after_a_takeover(
    pipeline: Pipeline, processes: Processes
) -> None:
    await processes.worker("relay")
    await processes.worker("relay")
    stopped_amid = 0
    for number in range(1, ROUNDS + 1):
        before = sum(await asyncio.to_thread(ends, pipeline))
        await fill(pipeline)

        async def has_begun(before: int = before) -> bool:
            return sum(await asyncio.to_thread(ends, pipeline)) > before

        await wait_for(has_begun, processes)
        await asyncio.sleep(random.uniform(0, 0.3))
        pid = await query_int(pipeline, HOLDER)
        os.kill(pid, signal.SIGSTOP)
        stopped_amid += sum(await asyncio.to_thread(ends, pipeline)) < number * ROWS
        await assert_publishes_nothing_on_resume(pipeline, processes, pid)
    assert stopped_amid, "every backlog was published before its relay could be stopped"
    await assert_topic_has_the_log(pipeline, ROUNDS)


@pytest.mark.parametrize("point", ["before_produce:2", "amid_produce:3000", "after_produce_before_cursor:2"])
async def test_a_relay_stopped_at_a_crash_point_publishes_nothing_after_a_takeover(
    pipeline: Pipeline, processes: Processes, point: str
) -> None:
    await fill(pipeline)
    relay = await processes.worker("relay", f"{point}:stop")

    async def is_stopped() -> bool:
        return ") T " in await asyncio.to_thread(Path(f"/proc/{relay.pid}/stat").read_text)

    await wait_for(is_stopped, processes)
    await processes.worker("relay")
    await assert_publishes_nothing_on_resume(pipeline, processes, relay.pid)
    await assert_topic_has_the_log(pipeline, 1)


async def test_the_broker_rejects_what_a_stopped_producer_had_buffered(
    pipeline: Pipeline, processes: Processes
) -> None:
    """A request in flight is sent on resume, whatever the clocks of this process say: the broker has to reject it."""
    bootstrap = pipeline.settings.kafka_bootstrap_servers
    topics = [f"{pipeline.topic}.{number}" for number in range(PUBLISHERS)]
    await ensure_topics(bootstrap, topics, partitions=pipeline.settings.kafka_partitions)
    for topic in topics:
        await asyncio.to_thread(_await_leaders, pipeline, topic)
    publishers = [await processes.start("tests.crashes.producer_process", bootstrap, topic) for topic in topics]

    async def all_publish() -> bool:
        return all([sum(await asyncio.to_thread(ends, pipeline, topic)) > 0 for topic in topics])

    await wait_for(all_publish, processes)
    for publisher in publishers:
        await asyncio.sleep(random.uniform(0.05, 0.3))
        publisher.send_signal(signal.SIGSTOP)
    await asyncio.sleep(LEASE_SECONDS)
    left = [await asyncio.to_thread(ends, pipeline, topic) for topic in topics]
    for publisher in publishers:
        publisher.send_signal(signal.SIGCONT)
    for publisher in publishers:
        assert await asyncio.wait_for(publisher.wait(), PATIENCE_SECONDS) == 0, processes.output()
    assert [await asyncio.to_thread(ends, pipeline, topic) for topic in topics] == left
