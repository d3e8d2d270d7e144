"""Measures the log, its readers and the dead letters every few seconds, for /metrics and the alerts."""

import asyncio

from confluent_kafka import KafkaException
from sqlalchemy import text

from ticketing.infra import log, mail, metrics, redis
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import lag as kafka_lag
from ticketing.infra.outbox import status
from ticketing.infra.system.retry import log_every_error, run_periodically
from ticketing.workers import consumers

MEASURE_SECONDS = 10.0

_log = log.get_logger(__name__)


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Measure until `stop` is set. Failures are logged, and the next measurement follows as usual."""
    groups = await group_topics(settings)
    reported: set[tuple[str, str]] = set()

    async def measure() -> None:
        nonlocal reported
        await measure_log(settings, database)
        reported = await measure_dead_letters(database, reported)
        if settings.is_distributed:
            await measure_kafka(settings, database, groups)

    await run_periodically(MEASURE_SECONDS, measure, log_every_error(_log, "log_not_measured", KafkaException), stop)


async def group_topics(settings: Settings) -> dict[str, list[str]]:
    """The topics of each consumer group."""
    connection = redis.connect(settings)
    try:
        return {group.name: list(group.topics) for group in consumers.groups(connection, mail.connect(settings))}
    finally:
        await connection.aclose()


async def measure_log(settings: Settings, database: Database) -> None:
    """Readers that count. The gauges of a forgotten reader keep their last value until this process ends."""
    async with database.transaction() as session:
        readers = await status.read_readers(session, over_kafka=settings.is_distributed)
        metrics.OUTBOX_BYTES.set(await status.read_bytes(session))
    for reader in readers:
        if reader.counts:
            metrics.OUTBOX_UNREAD.labels(reader.reader).set(reader.unread)
            metrics.OUTBOX_OLDEST.labels(reader.reader).set(reader.seconds)


async def measure_dead_letters(database: Database, reported: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Set the gauge of dead letters, and reset those `reported` before that have none now; returns the labels set."""
    async with database.transaction() as session:
        rows = await session.execute(text("select consumer, topic, count(*) from dead_letters group by 1, 2"))
        found = {(row[0], row[1]): int(row[2]) for row in rows}
    for labels in reported | found.keys():
        metrics.DEAD_LETTERS_OPEN.labels(*labels).set(found.get(labels, 0))
    return set(found)


async def measure_kafka(settings: Settings, database: Database, groups: dict[str, list[str]]) -> None:
    """Measure the lag of each group at the broker, and store it."""
    lags = await asyncio.to_thread(kafka_lag.measure, settings.kafka_bootstrap_servers, groups)
    async with database.transaction() as session:
        await kafka_lag.record_lags(session, lags)
    sums: dict[tuple[str, str], int] = {}
    for lag in lags:
        sums[lag.consumer, lag.topic] = sums.get((lag.consumer, lag.topic), 0) + lag.messages
    for labels, messages in sums.items():
        metrics.KAFKA_LAG.labels(*labels).set(messages)
