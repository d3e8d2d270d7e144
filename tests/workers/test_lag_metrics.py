"""The gauges of the log and its readers, which the scheduler keeps up to date."""

import asyncio
from typing import Any

from prometheus_client import REGISTRY
from sqlalchemy import text

from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox.reader import LogReader
from ticketing.workers import lag_metrics


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"ticketing_{name}", labels)


async def run(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as session:
        found = await session.execute(text(statement))
        return list(found.all()) if found.returns_rows else []


async def test_unread_rows_of_each_reader_are_measured(database: Database, settings: Settings) -> None:
    message = """
        insert into outbox (occurred_at, message_id, topic, key, schema_version, payload, correlation_id, traceparent,
                            actor)
        select now() - make_interval(secs => 100 - 10 * n), gen_random_uuid(), 'bell.rung', 'k', 1, '{}', '', '', ''
          from generate_series(1, 3) n"""
    await run(database, message)
    reader = LogReader(database, "measured", "test")
    assert await reader.acquire()
    (first, *_) = await reader.read()
    await reader.advance(first.log_id)
    await lag_metrics.measure_log(settings, database)
    assert gauge("outbox_unread_rows", reader="measured") == 2
    assert 80 <= (gauge("outbox_oldest_unread_seconds", reader="measured") or 0) < 100
    assert (gauge("outbox_bytes") or 0) > 0
    assert await reader.acquire()  # reads again what is not acknowledged
    await reader.advance((await reader.read())[-1].log_id)
    await lag_metrics.measure_log(settings, database)
    assert gauge("outbox_unread_rows", reader="measured") == 0
    assert gauge("outbox_oldest_unread_seconds", reader="measured") == 0


async def test_open_dead_letters_are_measured_until_they_are_gone(database: Database) -> None:
    dead_letter = """insert into dead_letters (consumer, topic, key, message_id, message, error, attempts)
                values ('measured', 'order.paid', 'k', gen_random_uuid(), '{}', 'KeyError', 8)"""
    await run(database, dead_letter)
    reported = await lag_metrics.measure_dead_letters(database, set())
    assert gauge("dead_letters_open", consumer="measured", topic="order.paid") == 1
    await run(database, "delete from dead_letters")
    assert await lag_metrics.measure_dead_letters(database, reported) == set()
    assert gauge("dead_letters_open", consumer="measured", topic="order.paid") == 0


async def test_measuring_continues_during_an_outage(database: Database, settings: Settings) -> None:
    away = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    stop = asyncio.Event()
    measuring = asyncio.create_task(lag_metrics.run(away, database, stop))
    await asyncio.sleep(1)
    assert not measuring.done()
    stop.set()
    await asyncio.wait_for(measuring, 60)
