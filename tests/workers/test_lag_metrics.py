"""What the scheduler measures of the log: gauges that follow, and the lag over Kafka that the alert reads."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import KafkaException
from prometheus_client import REGISTRY
from sqlalchemy import text

from tests.infra.kafka.kafka_line import Line, coats
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import lag as kafka_lag
from ticketing.infra.outbox.reader import LogReader
from ticketing.workers import lag_metrics


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"ticketing_{name}", labels)


async def run(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as session:
        found = await session.execute(text(statement))
        return list(found.all()) if found.returns_rows else []


async def test_unread_rows_of_each_reader_are_measured(database: Database, settings: Settings) -> None:
    fact = """
        insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent,
                            actor)
        select now() - make_interval(secs => 100 - 10 * n), gen_random_uuid(), 'bell.rung', 'k', 1, '{}', '', '', ''
          from generate_series(1, 3) n"""
    await run(database, fact)
    reader = LogReader(database, "measured", "test")
    assert await reader.acquire()
    (first, *_) = await reader.read()
    await reader.advance(first.log_id)
    await lag_metrics.measure_log(settings, database)
    assert gauge("outbox_unread_rows", reader="measured") == 2
    assert 80 <= (gauge("outbox_oldest_unread_seconds", reader="measured") or 0) < 100
    assert (gauge("outbox_bytes") or 0) > 0
    await reader.advance((await reader.read())[-1].log_id)
    await lag_metrics.measure_log(settings, database)
    assert gauge("outbox_unread_rows", reader="measured") == 0
    assert gauge("outbox_oldest_unread_seconds", reader="measured") == 0


async def test_open_dead_letters_are_measured_until_they_are_gone(database: Database) -> None:
    letter = """insert into dead_letters (consumer, topic, key, message_id, message, error, attempts)
                values ('measured', 'order.paid', 'k', gen_random_uuid(), '{}', 'KeyError', 8)"""
    await run(database, letter)
    told = await lag_metrics.measure_letters(database, set())
    assert gauge("dead_letters_open", consumer="measured", topic="order.paid") == 1
    await run(database, "delete from dead_letters")
    assert await lag_metrics.measure_letters(database, told) == set()
    assert gauge("dead_letters_open", consumer="measured", topic="order.paid") == 0


async def test_an_offset_that_stands_still_is_known_by_when_it_moved_last(database: Database) -> None:
    async def note(*lags: kafka_lag.Lag) -> list[Any]:
        async with database.transaction() as session:
            await kafka_lag.note(session, lags)
        await run(database, "update kafka_lag set since = since - interval '1 minute'")
        return await run(
            database, "select partition, messages, (now() - since) > '90 seconds' from kafka_lag order by 1"
        )

    stuck = kafka_lag.Lag("tickets", "order.paid", 0, 5, 1)
    assert await note(stuck, kafka_lag.Lag("tickets", "order.paid", 1, 7, 3)) == [(0, 1, False), (1, 3, False)]
    moved = kafka_lag.Lag("tickets", "order.paid", 1, 8, 2)
    assert await note(stuck._replace(messages=4), moved) == [(0, 4, True), (1, 2, False)]
    assert await note(stuck._replace(committed=9, messages=0), moved) == [(1, 2, True)]


@pytest.mark.kafka
async def test_what_a_group_has_not_done_over_kafka_is_measured(line: Line) -> None:
    groups = {line.group.name: [line.topic, "nobody.ever"]}
    await line.tell(*coats("ABC", 2))
    async with line.relaying():
        await asyncio.to_thread(line.records, 6)
        # At least: a relay that had to wait for its broker publishes twice.
        assert await lag(line, groups) >= 6
        assert await run(line.database, "select sum(messages) >= 6 from kafka_lag") == [(True,)]
        async with line.consuming():
            await line.until_effects(6)
            end = time.monotonic() + 20
            while await lag(line, groups):
                assert time.monotonic() < end
    assert await run(line.database, "select from kafka_lag") == []


async def lag(line: Line, groups: dict[str, list[str]]) -> float:
    """Measured as soon as the broker knows who leads partitions that are so new; the worker tries again as well."""
    async with asyncio.timeout(20):
        while True:
            with suppress(KafkaException):
                await lag_metrics.measure_kafka(line.settings, line.database, groups)
                return gauge("kafka_lag", group=line.group.name, topic=line.topic) or 0
            await asyncio.sleep(0.1)


async def test_measuring_goes_on_when_something_is_away(database: Database, settings: Settings) -> None:
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    stop = asyncio.Event()
    measuring = asyncio.create_task(lag_metrics.run(away, database, stop))
    await asyncio.sleep(1)
    assert not measuring.done()
    stop.set()
    await asyncio.wait_for(measuring, 20)
