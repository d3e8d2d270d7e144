"""The lag of consumer groups, as the broker reports it and as the alert reads it."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import KafkaException
from prometheus_client import REGISTRY
from sqlalchemy import text

from tests.infra.kafka.pipeline import Pipeline, coats
from ticketing.infra.db import Database
from ticketing.infra.kafka import lag as kafka_lag
from ticketing.workers import lag_metrics


def gauge(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"ticketing_{name}", labels)


async def run(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as session:
        found = await session.execute(text(statement))
        return list(found.all()) if found.returns_rows else []


async def test_a_lagging_partition_keeps_the_time_of_its_last_commit(database: Database) -> None:
    async def note(*lags: kafka_lag.Lag) -> list[Any]:
        async with database.transaction() as session:
            await kafka_lag.record_lags(session, lags)
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
async def test_the_lag_of_a_group_is_measured(pipeline: Pipeline) -> None:
    groups = {pipeline.group.name: [pipeline.topic, "never.published"]}
    await pipeline.publish(*coats("ABC", 2))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 6)
        # At least 6: after an outage of the broker, the relay publishes again.
        assert await lag(pipeline, groups) >= 6
        assert await run(pipeline.database, "select sum(messages) >= 6 from kafka_lag") == [(True,)]
        async with pipeline.consuming():
            await pipeline.wait_for_effects(6)
            end = time.monotonic() + 60
            while await lag(pipeline, groups):
                assert time.monotonic() < end
    assert await run(pipeline.database, "select from kafka_lag") == []


async def lag(pipeline: Pipeline, groups: dict[str, list[str]]) -> float:
    """Measure, once the broker knows the leaders of the new partitions; until then the worker retries as well."""
    async with asyncio.timeout(60):
        while True:
            with suppress(KafkaException):
                await lag_metrics.measure_kafka(pipeline.settings, pipeline.database, groups)
                return gauge("kafka_lag", group=pipeline.group.name, topic=pipeline.topic) or 0
            await asyncio.sleep(0.1)
