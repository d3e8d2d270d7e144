"""From the outbox through a real broker to an effect in the database: one topic and one group per test."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar
from uuid import uuid4

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka import Message as KafkaMessage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.kafka_broker import patiently
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra import bus, outbox
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, new_id
from ticketing.infra.kafka import DEAD_LETTER_SUFFIX
from ticketing.infra.kafka.consumer import consume, consume_with
from ticketing.infra.kafka.dead_letters import DeadLetters
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.workers import relay

ORGANIZATION = new_id()
PAINT = "insert into effects (seat, coat) values (:seat, :coat)"


class SeatPainted(outbox.Message):
    """A message of these tests only."""

    topic: ClassVar[str] = "seat.painted"
    key_field: ClassVar[str] = "seat"
    seat: str
    coat: int


class BatchPainters:
    """A batch group; a batch that contains the coat `bad` fails as a whole."""

    pause_seconds = 0.01

    def __init__(self, name: str, topic: str, bad: int | None = None) -> None:
        self.name, self.topics, self._bad = name, [topic], bad
        self.sizes: list[int] = []

    async def consume(self, database: Database, deliveries: list[outbox.Delivery]) -> None:
        if any(delivery.payload["coat"] == self._bad for delivery in deliveries):
            raise RuntimeError("this coat does not dry")
        self.sizes.append(len(deliveries))
        async with database.transaction() as session:
            for delivery in deliveries:
                await session.execute(text(PAINT), {name: delivery.payload[name] for name in ("seat", "coat")})


class Pipeline:
    """A topic and a consumer group with unique names, because tests share the broker."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings
        self.message = type("SeatPainted", (SeatPainted,), {"topic": f"seat.painted.{uuid4().hex[:8]}"})
        self.group = bus.Group(f"painters.{uuid4().hex[:8]}", {self.message: self.paint})
        self.before_paint: Callable[[SeatPainted], Awaitable[None]] | None = None

    @property
    def topic(self) -> str:
        return self.message.topic

    async def make_table(self, owner: Database) -> None:
        async with owner.transaction() as session:
            await session.execute(text("create table effects (id serial primary key, seat text, coat int)"))
            await session.execute(text("grant all on effects, effects_id_seq to public"))

    async def paint(self, session: AsyncSession, message: SeatPainted) -> None:
        """The handler; `before_paint` may delay it or make it fail."""
        if self.before_paint is not None:
            await self.before_paint(message)
        await session.execute(text(PAINT), message.model_dump(include={"seat", "coat"}))

    async def publish(self, *messages: tuple[str, int]) -> None:
        """Publish each message in a transaction of its own, as requests do."""
        for seat, coat in messages:
            async with self.database.transaction() as session:
                self.append(session, self.message, seat, coat)

    def append(self, session: AsyncSession, kind: type[SeatPainted], seat: str, coat: int) -> None:
        outbox.publish(session, kind(organization_id=ORGANIZATION, seat=seat, coat=coat))

    async def expire_lease(self) -> None:
        async with self.database.transaction() as session:
            await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 second'"))

    async def effects(self) -> list[tuple[str, int]]:
        async with self.database.transaction() as session:
            rows = await session.execute(text("select seat, coat from effects order by id"))
            return [(row.seat, row.coat) for row in rows]

    async def wait_for_effects(self, count: int, seconds: float = 120) -> list[tuple[str, int]]:
        """Wait for `count` effects, which are all effects so far."""
        end = time.monotonic() + seconds
        while len(found := await self.effects()) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} effects: {found}"
            await asyncio.sleep(0.05)
        return found

    @asynccontextmanager
    async def relaying(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with running(relay.run(self.settings, self.database, stop), stop):
            yield

    @asynccontextmanager
    async def consuming(self, group: bus.AnyGroup | None = None) -> AsyncIterator[None]:
        stop = asyncio.Event()
        async with running(consume(self.settings, self.database, group or self.group, stop), stop):
            yield

    def consuming_with_client(self, client: dict[str, Any]) -> AbstractAsyncContextManager[None]:
        """A member with other settings of the Kafka client."""
        return self.consuming_with_dead_letters_to(self.settings.kafka_bootstrap_servers, client)

    @asynccontextmanager
    async def consuming_with_dead_letters_to(
        self, bootstrap: str, client: dict[str, Any] | None = None
    ) -> AsyncIterator[None]:
        stop = asyncio.Event()
        producer = KafkaProducer(bootstrap, "dlq")
        dead_letters = DeadLetters(self.group.name, producer, self.database, stop)
        try:
            consuming = consume_with(self.settings, self.database, self.group, stop, dead_letters, client)
            async with running(consuming, stop):
                yield
        finally:
            await producer.close()

    def records(self, count: int, topic: str = "", seconds: float = PATIENCE_SECONDS) -> list[KafkaMessage]:
        """The first `count` records, or fewer after `seconds`, by partition and offset. Blocking."""
        # By place: while the topic is being created, the reader may first know one partition of it. The rebalance after
        # that reads it from its start again.
        found: dict[tuple[int | None, int | None], KafkaMessage] = {}
        end = time.monotonic() + seconds
        with Consumer(self._reader_settings(f"reader.{uuid4().hex}")) as reader:
            reader.subscribe([topic or self.topic])
            while len(found) < count and time.monotonic() < end:
                for record in reader.consume(count - len(found), timeout=0.1):
                    # A topic that does not exist yet is reported as an event in place of a record.
                    if not record.error():
                        found[record.partition(), record.offset()] = record
        return [found[place] for place in sorted(found)]

    def all_records(self) -> list[KafkaMessage]:
        """All records of the topic. Blocking."""
        with Consumer(self._reader_settings("ends")) as reader:
            ends = [reader.get_watermark_offsets(each, timeout=60)[1] for each in self._partitions()]
        return self.records(sum(ends))

    def dead_letters(self, count: int) -> list[KafkaMessage]:
        return self.records(count, self.topic + DEAD_LETTER_SUFFIX)

    def committed(self) -> int:
        """The sum of the group's committed offsets: the number of messages that it has processed."""
        with Consumer(self._reader_settings(self.group.name)) as reader:
            found = patiently(lambda: reader.committed(self._partitions(), timeout=20))
            return sum(max(each.offset, 0) for each in found)

    def rewind(self) -> None:
        """Reset the group's offsets, so that every message is redelivered."""
        with Consumer(self._reader_settings(self.group.name)) as reader:
            start = [TopicPartition(each.topic, each.partition, 0) for each in self._partitions()]
            patiently(lambda: reader.commit(offsets=start, asynchronous=False))

    def _partitions(self) -> list[TopicPartition]:
        return [TopicPartition(self.topic, number) for number in range(self.settings.kafka_partitions)]

    def _reader_settings(self, group: str) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.settings.kafka_bootstrap_servers,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "topic.metadata.refresh.fast.interval.ms": 100,
            "log_level": 2,
        }


def coats(seats: str, count: int) -> list[tuple[str, int]]:
    """`count` messages for each seat, seats in turn."""
    return [(seat, coat) for coat in range(count) for seat in seats]


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> AsyncIterator[None]:
    """Run in the background, then set `stop`; an error or a missing end fails the test."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
