"""`ticketing outbox lag`: how far the log's readers, and with Kafka the consumer groups, are behind."""

import asyncio
from typing import NamedTuple

from confluent_kafka import KafkaException

from ticketing.cli.actions.operators import with_database
from ticketing.cli.context import platform_settings
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, statements
from ticketing.infra.kafka import lag as kafka_lag
from ticketing.infra.outbox import status
from ticketing.workers.lag_metrics import group_topics


class Lag(NamedTuple):
    """A reader, or a consumer group and topic: the age in seconds of its oldest unread message, and their number."""

    name: str
    seconds: float
    rows: int


def measure() -> tuple[list[Lag], str]:
    """The lag of each reader in use, then of each consumer group and topic; and an error message, or ""."""
    settings = platform_settings()
    return asyncio.run(with_database(settings, lambda database: _measure(settings, database)))


async def _measure(settings: Settings, database: Database) -> tuple[list[Lag], str]:
    async with database.transaction() as session:
        readers = await status.read_readers(session, over_kafka=settings.is_distributed)
    lags = [Lag(each.reader, each.seconds, each.unread) for each in readers if each.counts]
    if not settings.is_distributed:
        return lags, ""
    try:
        return [*lags, *await _measure_kafka(settings, database)], ""
    except KafkaException as error:
        return lags, f"the broker does not answer ({error.args[0].name()})"


async def _measure_kafka(settings: Settings, database: Database) -> list[Lag]:
    groups = await group_topics(settings)
    partitions = await asyncio.to_thread(kafka_lag.measure, settings.kafka_bootstrap_servers, groups)
    unmoved = await _seconds_unmoved(database)
    lags: dict[str, Lag] = {}
    for each in partitions:
        name = f"{each.consumer}/{each.topic}"
        known = lags.get(name, Lag(name, 0, 0))
        offset = (each.consumer, each.topic, each.partition, each.committed)
        seconds = unmoved.get(offset, 0.0) if each.messages else 0.0
        lags[name] = Lag(name, max(known.seconds, seconds), known.rows + each.messages)
    return list(lags.values())


async def _seconds_unmoved(database: Database) -> dict[tuple[str, str, int, int], float]:
    """How long each committed offset has been the same, as the scheduler has recorded it."""
    query = "select consumer, topic, partition, committed, extract(epoch from now() - since)::float8 from kafka_lag"
    async with database.transaction() as session:
        rows = await (await statements.execute(session, query)).fetchall()
    return {(consumer, topic, partition, committed): age for consumer, topic, partition, committed, age in rows}
