"""A line from the outbox through a real broker to an effect in the database: one topic, one group, one test."""

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
    """A fact that only these tests know."""

    topic: ClassVar[str] = "seat.painted"
    key_field: ClassVar[str] = "seat"
    seat: str
    coat: int


class BatchPainters:
    """A group that takes all messages at once; a batch with a coat of `bad` in it fails as a whole."""

    rest_seconds = 0.01

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


class Line:
    """What a test of the road over Kafka needs; the topic and the group are its own, for the broker is shared."""

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
        """The handler; a test may have it wait or fail first."""
        if self.before_paint is not None:
            await self.before_paint(message)
        await session.execute(text(PAINT), message.model_dump(include={"seat", "coat"}))

    async def tell(self, *facts: tuple[str, int]) -> None:
        """Each fact in a transaction of its own, as requests do it."""
        for seat, coat in facts:
            async with self.database.transaction() as session:
                self.publish(session, self.message, seat, coat)

    def publish(self, session: AsyncSession, kind: type[SeatPainted], seat: str, coat: int) -> None:
        outbox.publish(session, kind(organization_id=ORGANIZATION, seat=seat, coat=coat))

    async def let_lease_run_out(self) -> None:
        async with self.database.transaction() as session:
            await session.execute(text("update outbox_cursor set lease_until = now() - interval '1 second'"))

    async def effects(self) -> list[tuple[str, int]]:
        async with self.database.transaction() as session:
            rows = await session.execute(text("select seat, coat from effects order by id"))
            return [(row.seat, row.coat) for row in rows]

    async def until_effects(self, count: int, seconds: float = 120) -> list[tuple[str, int]]:
        """Waits for so many effects, and says which there were when they do not come."""
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

    def consuming_as(self, client: dict[str, Any]) -> AbstractAsyncContextManager[None]:
        """A member with other settings of its Kafka client."""
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
        """The first `count` records, or what there is in the time, partition by partition. Blocks: for a thread."""
        found: list[KafkaMessage] = []
        end = time.monotonic() + seconds
        with Consumer(self._reader_settings(f"reader.{uuid4().hex}")) as reader:
            reader.subscribe([topic or self.topic])
            while len(found) < count and time.monotonic() < end:
                # A topic that is not there yet comes as an event in a record's place.
                found += [each for each in reader.consume(count - len(found), timeout=0.1) if not each.error()]
        return sorted(found, key=lambda record: (record.partition(), record.offset()))

    def all_records(self) -> list[KafkaMessage]:
        """Everything that the topic contains by now. Blocks."""
        with Consumer(self._reader_settings("ends")) as reader:
            ends = [reader.get_watermark_offsets(each, timeout=60)[1] for each in self._partitions()]
        return self.records(sum(ends))

    def dead_letters(self, count: int) -> list[KafkaMessage]:
        return self.records(count, self.topic + DEAD_LETTER_SUFFIX)

    def committed(self) -> int:
        """The sum of the group's committed offsets, which is the number of messages it has done."""
        with Consumer(self._reader_settings(self.group.name)) as reader:
            found = patiently(lambda: reader.committed(self._partitions(), timeout=20))
            return sum(max(each.offset, 0) for each in found)

    def rewind(self) -> None:
        """Puts the group back to the beginning, as an operator would who wants everything delivered again."""
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
    """Coat after coat for every seat in turn."""
    return [(seat, coat) for coat in range(count) for seat in seats]


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> AsyncIterator[None]:
    """Runs it beside the test, and asks it to end; one that fails or does not end fails the test."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_SECONDS)
