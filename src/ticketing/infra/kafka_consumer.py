"""Consumer groups on Kafka: the bus does the work, and an offset is committed only after the effect it stands for.

Redelivery is normal here (a crash, a rebalance, a rewound offset) and harmless: the inbox knows what was done.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import groupby
from typing import TypeVar

from confluent_kafka import KafkaException
from confluent_kafka import Message as KafkaMessage

from ticketing.infra import bus, crash_points, log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka import KafkaUnavailable, ensure_topics, read_delivery
from ticketing.infra.kafka_dead_letters import DeadLetters
from ticketing.infra.kafka_member import Member, offset_of, partition_of
from ticketing.infra.kafka_producer import KafkaProducer
from ticketing.infra.outbox import Delivery
from ticketing.infra.pause import pause

#: While a batch takes long the member polls this often, or it would delay every rebalance and in the end be expelled.
KEEP_ALIVE_SECONDS = 1.0
#: Partitions that one member works on at a time: each takes a database connection.
LANES_MAX = 4
OUTAGE_PAUSE_SECONDS = 1.0

_log = log.get_logger(__name__)
T = TypeVar("T")


async def consume(settings: Settings, database: Database, group: bus.AnyGroup, stop: asyncio.Event) -> None:
    """Be a member of the group until `stop` is set; finishes what it has begun, commits, and leaves the group."""
    producer = KafkaProducer(settings.kafka_bootstrap_servers, f"{group.name}.dlq")
    try:
        await consume_with(settings, database, group, stop, DeadLetters(group.name, producer, database, stop))
    finally:
        await producer.close()


async def consume_with(
    settings: Settings, database: Database, group: bus.AnyGroup, stop: asyncio.Event, dead_letters: DeadLetters
) -> None:
    """`consume`, with dead letters that somebody else opens and closes."""
    attempts_max, bootstrap = settings.consumer_max_attempts, settings.kafka_bootstrap_servers
    while not stop.is_set():
        try:
            await ensure_topics(
                bootstrap,
                group.topics,
                partitions=settings.kafka_partitions,
                replication_factor=settings.kafka_replication_factor,
                patience_seconds=5,
            )
            member = Member(bootstrap, group.name)
            worker = _LaneWorker if isinstance(group, bus.Group) else _BatchWorker
            await worker(database, group, member, dead_letters, attempts_max, stop).run()
        except (KafkaException, KafkaUnavailable) as error:
            _log.warning("consumer_lost_kafka", group=group.name, error=str(error))
            await pause(OUTAGE_PAUSE_SECONDS, stop)


class _Worker:
    """Works off what a member fetches. The member blocks, so it has a thread; its calls come one after the other."""

    def __init__(
        self,
        database: Database,
        group: bus.AnyGroup,
        member: Member,
        dead_letters: DeadLetters,
        attempts_max: int,
        stop: asyncio.Event,
    ) -> None:
        self._database, self._group, self._member, self._stop = database, group, member, stop
        self._dead_letters, self._attempts_max = dead_letters, attempts_max
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{group.name}")

    async def work(self, messages: list[KafkaMessage]) -> None:
        """Deal with all of them, in order of partition and offset, and tell the member of each that is settled."""
        raise AssertionError("a worker says how it works")

    async def run(self) -> None:
        try:
            await self._call(lambda: self._member.join(self._group.topics))
            while not self._stop.is_set():
                messages = await self._call(self._member.fetch)
                if messages:
                    await self._work_off(sorted(messages, key=lambda each: (partition_of(each), offset_of(each))))
                    crash_points.at("after_effect_before_offset")
                await self._call(self._member.commit)
        finally:
            await self._call(self._member.leave)
            self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    async def _work_off(self, messages: list[KafkaMessage]) -> None:
        """Does the batch, and keeps the membership alive however long that takes."""
        work = asyncio.create_task(self.work(messages))
        paused = False
        try:
            while not (await asyncio.wait({work}, timeout=KEEP_ALIVE_SECONDS))[0]:
                paused = True
                await self._call(self._member.keep_alive)
        except BaseException:
            work.cancel()
            await asyncio.wait({work})
            raise
        work.result()
        if paused:
            await self._call(self._member.resume)

    def _may_work_on(self, message: KafkaMessage) -> bool:
        """A partition that was taken from us is somebody else's to work on, from the last committed offset."""
        return not self._stop.is_set() and self._member.owns(partition_of(message))

    async def _read_or_bury(self, message: KafkaMessage) -> Delivery | None:
        try:
            return read_delivery(message)
        except ValueError as error:
            await self._dead_letters.bury(message, bus.Poison(error, 1))
            return None


class _LaneWorker(_Worker):
    """One message after the other in each partition, each in its own transaction; partitions side by side."""

    _group: bus.Group

    async def work(self, messages: list[KafkaMessage]) -> None:
        places = asyncio.Semaphore(LANES_MAX)
        async with asyncio.TaskGroup() as lanes:
            for _, lane in groupby(messages, key=partition_of):
                lanes.create_task(self._work_lane(list(lane), places))

    async def _work_lane(self, messages: list[KafkaMessage], places: asyncio.Semaphore) -> None:
        async with places:
            with suppress(bus.Stopped):
                for message in messages:
                    if not self._may_work_on(message):
                        return
                    await self._settle(message)
                    self._member.settled(message)

    async def _settle(self, message: KafkaMessage) -> None:
        delivery = await self._read_or_bury(message)
        if delivery is None:
            return
        try:
            await bus.deliver_patiently(self._database, self._group, delivery, self._attempts_max, self._stop)
        except bus.Poison as poison:
            await self._dead_letters.bury(message, poison)


class _BatchWorker(_Worker):
    """All messages at once, for a group whose effect is the same however often; one by one when that fails."""

    _group: bus.BatchGroup

    async def work(self, messages: list[KafkaMessage]) -> None:
        with suppress(bus.Stopped):
            ours = [message for message in messages if self._may_work_on(message)]
            deliveries = [await self._read_or_bury(message) for message in ours]
            try:
                await self._consume([each for each in deliveries if each is not None], attempts_max=1)
            except bus.Poison:
                # One of them is at fault: its neighbours go through.
                for message, delivery in zip(ours, deliveries, strict=True):
                    if delivery is not None:
                        await self._consume_or_bury(message, delivery)
                    self._member.settled(message)
            for message in ours:
                self._member.settled(message)

    async def _consume_or_bury(self, message: KafkaMessage, delivery: Delivery) -> None:
        try:
            await self._consume([delivery], self._attempts_max)
        except bus.Poison as poison:
            await self._dead_letters.bury(message, poison)

    async def _consume(self, deliveries: list[Delivery], attempts_max: int) -> None:
        """Raises Poison after so many failures that were no outage, and Stopped."""
        attempts = waits = 0
        while deliveries:
            try:
                return await self._group.consume(self._database, deliveries)
            except bus.OUTAGES as error:
                _log.warning("consumer_waits", group=self._group.name, error=type(error).__name__)
            except Exception as error:
                attempts += 1
                _log.warning("consumer_failed", group=self._group.name, attempt=attempts, exc_info=error)
                if attempts >= attempts_max:
                    raise bus.Poison(error, attempts) from error
            await pause(bus.backoff_seconds(waits), self._stop)
            waits += 1
            if self._stop.is_set():
                raise bus.Stopped
        return None
