"""`ticketing outbox replay`: a part of the log is published to Kafka again, or brought to consumer groups here."""

import asyncio
from collections.abc import Sequence
from typing import Any

import typer
from sqlalchemy import ColumnElement

from ticketing.cli import outbox_list
from ticketing.cli.context import WRONG_USE, fail
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
from ticketing.infra.outbox.encoded_rows import decode
from ticketing.infra.outbox.replay import ReplayRange
from ticketing.workers import consumers, relay


async def replay(
    settings: Settings,
    database: Database,
    since: ColumnElement[Any],
    topics: Sequence[str],
    group: str | None,
    yes: bool,
) -> None:
    """Tell what it is, and with `yes` do it; ends the command when something is not as it should be."""
    if unknown := sorted(set(topics) - set(known_topics())):
        fail(f"--topic: nobody publishes {', '.join(unknown)}", WRONG_USE)
    connection = redis.connect(settings)
    try:
        groups = [one for one in consumers.groups(connection, mail.connect(settings)) if group in {None, one.name}]
        if group is not None and not groups:
            fail(f"--group: there is no consumer group {group}", WRONG_USE)
        if settings.is_distributed and group is None:
            await _publish(settings, database, since, topics, yes)
        else:
            await _bring(settings, database, since, topics, groups, yes)
    finally:
        await connection.aclose()


async def _publish(
    settings: Settings, database: Database, since: ColumnElement[Any], topics: Sequence[str], yes: bool
) -> None:
    part, rows = await _look(database, relay.READER, relay.READER, since, topics)
    if not yes:
        return _tell(f"{rows} messages would be published")
    if part is not None:
        producer = KafkaProducer(settings.kafka_bootstrap_servers, "replay")
        try:
            await kafka.ensure_topics(
                settings.kafka_bootstrap_servers,
                topics,
                partitions=settings.kafka_partitions,
                replication_factor=settings.kafka_replication_factor,
                timeout_seconds=10,
            )
            async for page in outbox_replay.pages(database, part):
                await producer.publish(map(record_of, page))
        except (DeliveryFailed, KafkaUnavailable) as error:
            fail(f"the broker did not take all of it; do it again ({error})", 1)
        finally:
            await producer.close()
    typer.echo(f"{rows} messages are published.", err=True)
    return None


async def _bring(
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
        part, rows = await _look(database, reader, group.name, since, wanted)
        total += rows
        if yes and part is not None:
            consumer = LogConsumer(database, group, asyncio.Event(), settings.consumer_max_attempts)
            async for page in outbox_replay.pages(database, part, unprocessed_by=group.name):
                await consumer.consume([decode(row) for row in page], asyncio.Event())
    if not yes:
        return _tell(f"{total} messages would be brought")
    typer.echo(f"{total} messages were brought; what failed is among the dead letters.", err=True)
    return None


async def _look(
    database: Database, reader: str, consumer: str, since: ColumnElement[Any], topics: Sequence[str]
) -> tuple[ReplayRange | None, int]:
    """What there is to replay, shown by topic, and how many messages that is."""
    async with database.transaction() as session:
        part = await outbox_replay.find_range(session, reader, since, topics)
        found = await outbox_replay.count(session, part, consumer) if part is not None else []
    has_inbox = consumer != relay.READER
    outbox_list.show(consumer, outbox_list.REPLAY, [outbox_list.replay_row(one, has_inbox) for one in found])
    return part, sum(one.unprocessed if has_inbox else one.rows for one in found)


def _tell(sentence: str) -> None:
    typer.echo(f"{sentence}; nothing was changed. With --yes it is done.", err=True)
