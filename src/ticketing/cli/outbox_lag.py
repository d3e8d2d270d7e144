"""How far everybody is behind, at this moment: readers of the log, and over Kafka the consumer groups."""

import asyncio
from typing import NamedTuple

from confluent_kafka import KafkaException
from sqlalchemy import text

from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import lag as kafka_lag
from ticketing.infra.outbox import status
from ticketing.workers.lag_metrics import group_topics


class Line(NamedTuple):
    """Who, the age of the oldest that is waiting, in seconds, and how many wait."""

    name: str
    seconds: float
    rows: int


async def measure(settings: Settings, database: Database) -> tuple[list[Line], str]:
    """A line for each reader that counts, then for each group and topic; and a sentence about what does not answer."""
    async with database.transaction() as session:
        readers = await status.read_readers(session, over_kafka=settings.is_distributed)
    lines = [Line(one.reader, one.seconds, one.unread) for one in readers if one.counts]
    if not settings.is_distributed:
        return lines, ""
    try:
        return [*lines, *await _measure_kafka(settings, database)], ""
    except KafkaException as error:
        return lines, f"the broker does not answer ({error.args[0].name()})"


async def _measure_kafka(settings: Settings, database: Database) -> list[Line]:
    groups = await group_topics(settings)
    lags = await asyncio.to_thread(kafka_lag.measure, settings.kafka_bootstrap_servers, groups)
    still = await _seconds_still(database)
    lines: dict[str, Line] = {}
    for lag in lags:
        name = f"{lag.consumer}/{lag.topic}"
        known = lines.get(name, Line(name, 0, 0))
        seconds = still.get((lag.consumer, lag.topic, lag.partition, lag.committed), 0.0) if lag.messages else 0.0
        lines[name] = Line(name, max(known.seconds, seconds), known.rows + lag.messages)
    return list(lines.values())


async def _seconds_still(database: Database) -> dict[tuple[str, str, int, int], float]:
    """Since when an offset has not moved, as the scheduler has seen it."""
    query = "select consumer, topic, partition, committed, extract(epoch from now() - since)::float8 from kafka_lag"
    async with database.transaction() as session:
        return {(row[0], row[1], row[2], row[3]): row[4] for row in await session.execute(text(query))}
