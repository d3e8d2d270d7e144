"""The order of the log, over Kafka: facts of a few keys, told by many at once, and what a reader of the topics sees.

The platform's own facts are seldom two of one topic and key, so these are told beside them: straight into the log, each
under its key's lock, with transactions that overlap.
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

from tests.chaos.platform import Ground
from ticketing.infra.kafka import DEAD_LETTER_SUFFIX

TOPIC = "chaos.told"
TELLERS, KEYS = 5, 3
#: A transaction is open for so long at most, and the next one follows after so long at most.
OPEN_SECONDS, PAUSE_SECONDS = 0.1, 0.3
#: What is in the log and not in Kafka by then has been lost on the way.
CARRIED_SECONDS = 60.0
POLL_SECONDS, ASK_SECONDS, READ_SECONDS = 1.0, 5.0, 20.0

_TELL = """
insert into outbox (message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
select gen_random_uuid(), %s, %s, 1, '{}', '', '', 'chaos'"""
_LOG = "select topic, key, message_id::text from outbox order by id"

Facts = dict[tuple[str, str], list[str]]


@asynccontextmanager
async def told(ground: Ground) -> AsyncIterator[None]:
    """Facts are told for as long as the block lasts."""
    tasks = [asyncio.create_task(_tell_on(ground)) for _ in range(TELLERS)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _tell_on(ground: Ground) -> None:
    while True:
        with suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(ground.database_url(), connect_timeout=5) as connection:
                while True:
                    await _tell(connection, random.randrange(KEYS))
                    await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
        await asyncio.sleep(PAUSE_SECONDS)


async def _tell(connection: psycopg.AsyncConnection, key: int) -> None:
    """Two facts about one thing, whose lock is held from before they have a number until the commit.

    The transaction has its number before the lock, as one has that wrote something else first.
    """
    async with connection.transaction():
        await connection.execute("select pg_current_xact_id()")
        await asyncio.sleep(random.uniform(0, OPEN_SECONDS / 2))
        await connection.execute("select pg_advisory_xact_lock(%s)", [key])
        for _ in range(2):
            await connection.execute(_TELL, [TOPIC, f"key-{key}"])
            await asyncio.sleep(random.uniform(0, OPEN_SECONDS / 2))


class Topics:
    """What Kafka has been given so far, read to its end again and again by a consumer that commits nothing."""

    def __init__(self, bootstrap: str) -> None:
        self._settings: dict[str, Any] = {"bootstrap.servers": bootstrap, "group.id": f"chaos-{uuid4()}"}
        self._settings |= {"enable.auto.commit": False, "log_level": 2}
        self._places: dict[tuple[str, int], int] = {}
        self._known: set[str] = set()
        #: First occurrences alone: a repetition is known by its id.
        self.facts: Facts = defaultdict(list)

    def read(self) -> None:
        """What there is by now, over new connections: faults are for others. Raises KafkaException."""
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
        message_id = dict(record.headers() or [])["message_id"].decode()
        if message_id not in self._known:
            self._known.add(message_id)
            self.facts[topic, record.key().decode()].append(message_id)

    def lacks(self, log: Facts) -> int:
        """How many of these are not there, as far as it answers."""
        with suppress(KafkaException):
            self.read()
        return sum(message_id not in self._known for ids in log.values() for message_id in ids)

    def have_in_order(self, place: tuple[str, str], ids: list[str]) -> bool:
        wanted = set(ids)  # there may be more by now
        return [one for one in self.facts[place] if one in wanted] == ids


def _ends(consumer: Consumer) -> dict[tuple[str, int], int]:
    topics = consumer.list_topics(timeout=ASK_SECONDS).topics
    told = [name for name in topics if not name.startswith("__") and not name.endswith(DEAD_LETTER_SUFFIX)]
    places = [(name, number) for name in told for number in topics[name].partitions]
    ask = consumer.get_watermark_offsets
    return {place: ask(TopicPartition(*place), timeout=ASK_SECONDS)[1] for place in places}


async def kept(ground: Ground, topics: Topics) -> list[str]:
    """Everything that is in the log now is in Kafka before long, and first occurrences are in the log's order."""
    log: Facts = defaultdict(list)
    for topic, key, message_id in await ground.query(_LOG):
        log[topic, key].append(message_id)
    end = time.monotonic() + CARRIED_SECONDS
    while lost := await asyncio.to_thread(topics.lacks, log):
        if time.monotonic() > end:
            return [f"{lost} facts of the log are not in Kafka"]
        await asyncio.sleep(POLL_SECONDS)
    return [f"out of order: {place}" for place, ids in log.items() if not topics.have_in_order(place, ids)]
