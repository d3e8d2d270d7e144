"""`ticketing outbox replay`: publishes a part of the log to Kafka again, or delivers it to consumer groups here."""

import asyncio
from collections.abc import Sequence
from typing import Any

import typer
from sqlalchemy import ColumnElement

from ticketing.cli.actions.operators import log_to_stderr, with_database
from ticketing.cli.actions.since import parse_since
from ticketing.cli.context import WRONG_USE, fail, platform_settings
from ticketing.cli.tables import format_time, print_rows
from ticketing.infra import kafka, mail, redis
from ticketing.infra.bus import AnyGroup
from ticketing.infra.bus.log_consumer import LogConsumer
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import KafkaUnavailable
from ticketing.infra.kafka.producer import DeliveryFailed, KafkaProducer
from ticketing.infra.kafka.records import record_of
from ticketing.infra.outbox import known_topics
from ticketing.infra.outbox import replay as outbox_replay
from ticketing.infra.outbox.replay import ReplayRange, TopicCount
from ticketing.workers import consumers, relay

COLUMNS = ("topic", "rows", "not processed", "from", "to")


def run(since: str, topics: Sequence[str], group: str | None, yes: bool) -> None:
    settings, since_at = platform_settings(), parse_since(since)
    log_to_stderr(settings)
    asyncio.run(
        with_database(settings, lambda database: replay(settings, database, since_at, topics, group, yes)),
    )


async def replay(
    settings: Settings,
    database: Database,
    since: ColumnElement[Any],
    topics: Sequence[str],
    group: str | None,
    yes: bool,
) -> None:
    """Report the range, and replay it if `yes`. Ends the command with an error for an unknown topic or group."""
    if unknown := sorted(set(topics) - set(known_topics())):
        fail(f"--topic: unknown topic {', '.join(unknown)}", WRONG_USE)
    connection = redis.connect(settings)
    try:
        groups = [each for each in consumers.groups(connection, mail.connect(settings)) if group in {None, each.name}]
        if group is not None and not groups:
            fail(f"--group: there is no consumer group {group}", WRONG_USE)
        if settings.is_distributed and group is None:
            await _publish(settings, database, since, topics, yes)
        else:
            await _deliver(settings, database, since, topics, groups, yes)
    finally:
        await connection.aclose()


async def _publish(
    settings: Settings, database: Database, since: ColumnElement[Any], topics: Sequence[str], yes: bool
) -> None:
    replay_range, count = await _find_range(database, relay.READER, relay.READER, since, topics)
    if not yes:
        return _report(f"{count} messages would be published")
    if replay_range is not None:
        producer = KafkaProducer(settings.kafka_bootstrap_servers, "replay")
        try:
            await kafka.ensure_topics(
                settings.kafka_bootstrap_servers,
                topics,
                partitions=settings.kafka_partitions,
                replication_factor=settings.kafka_replication_factor,
                timeout_seconds=10,
            )
            async for page in outbox_replay.pages(database, replay_range):
                await producer.publish(map(record_of, page))
        except (DeliveryFailed, KafkaUnavailable) as error:
            fail(f"the broker did not accept every message; repeat the command ({error})", 1)
        finally:
            await producer.close()
    typer.echo(f"{count} messages were published.", err=True)
    return None


async def _deliver(
    settings: Settings,
    database: Database,
    since: ColumnElement[Any],
    topics: Sequence[str],
    groups: Sequence[AnyGroup],
    yes: bool,
) -> None:
    total = 0
    for group in groups:
        wanted = sorted(set(topics) & set(group.topics))
        if not wanted:
            continue
        reader = relay.READER if settings.is_distributed else group.name
        replay_range, count = await _find_range(database, reader, group.name, since, wanted)
        total += count
        if yes and replay_range is not None:
            consumer = LogConsumer(database, group, asyncio.Event(), settings.consumer_max_attempts)
            async for page in outbox_replay.pages(database, replay_range, unprocessed_by=group.name):
                await consumer.consume(page, asyncio.Event())
    if not yes:
        return _report(f"{total} messages would be delivered")
    typer.echo(f"{total} messages were delivered; those that failed are dead letters.", err=True)
    return None


async def _find_range(
    database: Database, reader: str, consumer: str, since: ColumnElement[Any], topics: Sequence[str]
) -> tuple[ReplayRange | None, int]:
    """The range to replay and its number of messages. Prints a row for each topic."""
    async with database.transaction() as session:
        replay_range = await outbox_replay.find_range(session, reader, since, topics)
        counts = await outbox_replay.count(session, replay_range, consumer) if replay_range is not None else []
    has_inbox = consumer != relay.READER
    print_rows(COLUMNS, [_row(each, has_inbox) for each in counts], line_prefix=consumer)
    return replay_range, sum(each.unprocessed if has_inbox else each.rows for each in counts)


def _row(count: TopicCount, has_inbox: bool) -> tuple[str, ...]:
    unprocessed = str(count.unprocessed) if has_inbox else "-"
    return count.topic, str(count.rows), unprocessed, format_time(count.from_at), format_time(count.to_at)


def _report(sentence: str) -> None:
    typer.echo(f"{sentence}; nothing was changed. With --yes it is done.", err=True)
