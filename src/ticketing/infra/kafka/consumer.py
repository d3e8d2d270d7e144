"""Consumer groups on Kafka: the bus does the work, and an offset is committed only after the effect it stands for.

Redelivery is normal here (a crash, a rebalance, a rewound offset) and harmless: the inbox knows what was done.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from ticketing.infra import bus, log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka.client import KafkaUnavailable, ensure_topics
from ticketing.infra.kafka.dead_letters import DeadLetters
from ticketing.infra.kafka.membership import BATCH_MESSAGES, Member, Partition, partition_of
from ticketing.infra.kafka.partition_queues import CLOSE_SECONDS, Lane, Work, open_lane
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.retry import run_until_stopped
from ticketing.infra.system.sleep import pause

#: A member asks so long for messages before it sees to other things.
POLL_SECONDS = 0.5
#: The same while some lane is full and may want to be fed again.
FULL_POLL_SECONDS = 0.05

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
    settings: Settings,
    database: Database,
    group: bus.AnyGroup,
    stop: asyncio.Event,
    dead_letters: DeadLetters,
    client: Mapping[str, Any] | None = None,
) -> None:
    """`consume`, with dead letters that somebody else opens and closes, and other settings of the Kafka client."""
    bootstrap = settings.kafka_bootstrap_servers
    work = Work(database, group, dead_letters, settings.consumer_max_attempts)

    async def step() -> None:
        await ensure_topics(
            bootstrap,
            group.topics,
            partitions=settings.kafka_partitions,
            replication_factor=settings.kafka_replication_factor,
            patience_seconds=5,
        )
        await _Consumer(bootstrap, work, stop, client).run()

    def on_error(error: Exception) -> None:
        if not isinstance(error, (KafkaException, KafkaUnavailable)):
            raise error
        _log.warning("consumer_lost_kafka", group=group.name, error=str(error))

    await run_until_stopped(step, on_error, stop)


class _Consumer:
    """Feeds lanes with what a member fetches. The member blocks, so it has a thread; its calls come one by one."""

    def __init__(self, bootstrap: str, work: Work, stop: asyncio.Event, client: Mapping[str, Any] | None) -> None:
        self._work, self._stop = work, stop
        self._member = Member(bootstrap, work.group.name, self._let_go, client)
        #: By partition; a group that takes all together has one lane, whose key is None.
        self._lanes: dict[Partition | None, Lane] = {}
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{work.group.name}")

    async def run(self) -> None:
        try:
            await self._call(lambda: self._member.join(self._work.group.topics))
            while not self._stop.is_set():
                await self._turn()
        finally:
            try:
                await self._close([*self._lanes])
            finally:
                await self._call(self._member.leave)
                self._thread.shutdown(wait=False)

    async def _turn(self) -> None:
        """What has come goes to the lanes, which work while the member asks for more: its membership lives by that."""
        full = {key for key, lane in self._lanes.items() if lane.is_full}
        seconds = FULL_POLL_SECONDS if full else POLL_SECONDS
        messages = await self._call(lambda: self._member.fetch(seconds, lambda each: self._key(each) in full))
        for message in messages:
            self._find_lane(partition_of(message)).add(message)
        for lane in self._lanes.values():
            lane.raise_failure()
        if 0 < len(messages) < BATCH_MESSAGES:
            # What comes meanwhile is fetched together, from all partitions.
            await pause(self._work.group.rest_seconds, self._stop)

    def _key(self, partition: Partition) -> Partition | None:
        return partition if isinstance(self._work.group, bus.Group) else None

    def _find_lane(self, partition: Partition) -> Lane:
        if (key := self._key(partition)) not in self._lanes:
            self._lanes[key] = open_lane(self._work, self._member.settled)
        return self._lanes[key]

    def _let_go(self, partitions: set[Partition], is_ours: bool) -> None:
        """On the member's thread: the loop goes on meanwhile, and with it the lanes that have to come to rest."""
        closing = asyncio.run_coroutine_threadsafe(self._hand_over(partitions), self._loop)
        if is_ours:
            with suppress(TimeoutError):
                closing.result(3 * CLOSE_SECONDS)

    async def _hand_over(self, partitions: set[Partition]) -> None:
        if (common := self._lanes.get(None)) is not None:
            common.drop(partitions)
        await self._close(partitions)

    async def _close(self, keys: Collection[Partition | None]) -> None:
        lanes = [lane for key in keys if (lane := self._lanes.pop(key, None)) is not None]
        await asyncio.gather(*(lane.close() for lane in lanes))

    async def _call(self, function: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, function)
