"""The order of messages over Kafka: concurrent publishers of a few keys, and what a consumer of the topics reads.

The platform seldom publishes two messages of one topic and key close together, so these publishers add some: directly
into the log, each under its key's lock, in overlapping transactions.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from tests.chaos.platform import Platform
from ticketing.infra.kafka import DEAD_LETTER_SUFFIX
from ticketing.infra.kafka.records import check_headers, read_delivery

TOPIC = "chaos.told"
PUBLISHERS, KEYS = 5, 3
#: The longest duration of a transaction, and the longest pause before the next one.
OPEN_SECONDS, PAUSE_SECONDS = 0.1, 0.3
#: A message in the log that is not in Kafka by then counts as lost.
CARRIED_SECONDS = 60.0
POLL_SECONDS, ASK_SECONDS, READ_SECONDS = 1.0, 5.0, 20.0

_PUBLISH = """
insert into outbox (message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select gen_random_uuid(), %s, %s, 1, '{}', '', '', 'chaos'"""
_LOG = "select topic, key, message_id::text from outbox order by id"

MessageIds = dict[tuple[str, str], list[str]]


@asynccontextmanager
async def publishing(platform: Platform) -> AsyncIterator[None]:
    """Publish messages for the duration of the block."""
    tasks = [asyncio.create_task(_publish_continuously(platform)) for _ in range(PUBLISHERS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _publish_continuously(platform: Platform) -> None:
    while True:
        with suppress(psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction):
            async with await psycopg.AsyncConnection.connect(platform.database_url(), connect_timeout=5) as connection:
                while True:
                    await _publish(connection, random.randrange(KEYS))
                    await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
        await asyncio.sleep(PAUSE_SECONDS)


async def _publish(connection: psycopg.AsyncConnection, key: int) -> None:
    """Publish two messages of one key, holding the key's lock from before their ids are assigned until the commit.

    The transaction id is assigned before the lock is taken, as in a transaction that has written something else first.
    """
    async with connection.transaction():
        await connection.execute("select pg_current_xact_id()")
        await asyncio.sleep(random.uniform(0, OPEN_SECONDS / 2))
        await connection.execute("select pg_advisory_xact_lock(%s)", [key])
        for _ in range(2):
            await connection.execute(_PUBLISH, [TOPIC, f"key-{key}"])
            await asyncio.sleep(random.uniform(0, OPEN_SECONDS / 2))


class Topics:
    """All records in Kafka so far, read to the end repeatedly by a consumer that commits no offsets."""

    def __init__(self, bootstrap: str) -> None:
        self._settings: dict[str, Any] = {"bootstrap.servers": bootstrap, "group.id": f"chaos-{uuid4()}"}
        self._settings |= {"enable.auto.commit": False, "log_level": 2}
        self._places: dict[tuple[str, int], int] = {}
        self._known: set[str] = set()
        #: First occurrences only; a duplicate is recognized by its message id.
        self.first: MessageIds = defaultdict(list)

    def read(self) -> None:
        """Read new records over a new connection, which the faults do not affect. Raises KafkaException."""
        with Consumer(self._settings) as consumer:
            ends = _ends(consumer)
            behind = {place for place, end in ends.items() if self._places.get(place, 0) < end}
            consumer.assign([TopicPartition(*place, self._places.get(place, 0)) for place in behind])
            end = time.monotonic() + READ_SECONDS
            while behind and time.monotonic() < end:
                for record in consumer.consume(500, POLL_SECONDS):
                    if record.error():
                        raise KafkaException(record.error())
                    place = str(record.topic()), int(record.partition() or 0)
                    self._places[place] = int(record.offset() or 0) + 1
                    self._note(place[0], record)
                behind = {place for place in behind if self._places.get(place, 0) < ends[place]}

    def _note(self, topic: str, record: Any) -> None:
        try:
            delivery = read_delivery(check_headers(record))
        except ValueError:  # a foreign record; see faults/bad_messages.py
            return
        if (message_id := str(delivery.message_id)) not in self._known:
            self._known.add(message_id)
            self.first[topic, delivery.key].append(message_id)

    def lacks(self, log: MessageIds) -> int:
        """The number of these messages that are not in Kafka yet, as far as the broker responds."""
        with suppress(KafkaException):
            self.read()
        return sum(message_id not in self._known for ids in log.values() for message_id in ids)

    def have_in_order(self, place: tuple[str, str], ids: list[str]) -> bool:
        wanted = set(ids)  # newer messages may have arrived
        return [one for one in self.first[place] if one in wanted] == ids


def _ends(consumer: Consumer) -> dict[tuple[str, int], int]:
    topics = consumer.list_topics(timeout=ASK_SECONDS).topics
    names = [name for name in topics if not name.startswith("__") and not name.endswith(DEAD_LETTER_SUFFIX)]
    places = [(name, number) for name in names for number in topics[name].partitions]
    ask = consumer.get_watermark_offsets
    return {place: ask(TopicPartition(*place), timeout=ASK_SECONDS)[1] for place in places}


async def check(platform: Platform, topics: Topics) -> list[str]:
    """Every message in the log reaches Kafka in time, and first occurrences keep the order of the log."""
    log: MessageIds = defaultdict(list)
    for topic, key, message_id in await platform.query(_LOG):
        log[topic, key].append(message_id)
    end = time.monotonic() + CARRIED_SECONDS
    while lost := await asyncio.to_thread(topics.lacks, log):
        if time.monotonic() > end:
            return [f"{lost} messages of the log are not in Kafka"]
        await asyncio.sleep(POLL_SECONDS)
    return [f"out of order: {place}" for place, ids in log.items() if not topics.have_in_order(place, ids)]
