"""Consumer groups on Kafka: the bus processes the messages, and an offset is committed only after the effect.

Redelivery is normal (a crash, a rebalance, a rewound offset) and harmless: the inbox knows what was processed.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from ticketing.infra import bus, log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.kafka.client import KafkaUnavailable, ensure_topics
from ticketing.infra.kafka.dead_letters import DeadLetters
from ticketing.infra.kafka.membership import BATCH_MESSAGES, Member, Partition, partition_of
from ticketing.infra.kafka.partition_queues import CLOSE_SECONDS, MessageQueue, QueueContext, open_queue
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.system.outside_calls import assert_no_transaction
from ticketing.infra.system.retry import run_until_stopped
from ticketing.infra.system.sleep import pause

#: How long one fetch waits for messages.
POLL_SECONDS = 0.5
#: The same while a queue is full: it may soon have room.
FULL_POLL_SECONDS = 0.05

_log = log.get_logger(__name__)
T = TypeVar("T")


async def consume(settings: Settings, database: Database, group: bus.AnyGroup, stop: asyncio.Event) -> None:
    """Be a member of the group until `stop` is set; then finish the current batches, commit, and leave the group."""
    producer = KafkaProducer(settings.kafka_bootstrap_servers, f"{group.name}.dlq")
    try:
        dead_letters = DeadLetters(group.name, producer, database, stop, settings.kafka_replication_factor)
        await consume_with(settings, database, group, stop, dead_letters)
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
    """`consume` with the caller's dead letters, and with other settings of the Kafka client."""
    bootstrap = settings.kafka_bootstrap_servers
    context = QueueContext(database, group, dead_letters, settings.consumer_max_attempts)

    async def step() -> None:
        await ensure_topics(
            bootstrap,
            group.topics,
            partitions=settings.kafka_partitions,
            replication_factor=settings.kafka_replication_factor,
            timeout_seconds=5,
        )
        await _Consumer(bootstrap, context, stop, client).run()

    def on_error(error: Exception) -> None:
        if not isinstance(error, (KafkaException, KafkaUnavailable)):
            raise error
        _log.warning("consumer_lost_kafka", group=group.name, error=str(error))

    await run_until_stopped(step, on_error, stop)


class _Consumer:
    """Fills queues with the messages of one membership. Its calls block, so they run on a thread, one at a time."""

    def __init__(
        self, bootstrap: str, context: QueueContext, stop: asyncio.Event, client: Mapping[str, Any] | None
    ) -> None:
        self._member = Member(bootstrap, context.group.name, self._on_revoke, client)
        self._context, self._stop = replace(context, check_ownership=self._member.check_membership), stop
        #: By partition; a group that takes all messages together has one queue, whose key is None.
        self._queues: dict[Partition | None, MessageQueue] = {}
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{context.group.name}")

    async def run(self) -> None:
        try:
            await self._call(lambda: self._member.join(self._context.group.topics))
            while not self._stop.is_set():
                await self._fetch()
        finally:
            try:
                await self._close([*self._queues])
            finally:
                await self._call(self._member.leave)
                self._thread.shutdown(wait=False)

    async def _fetch(self) -> None:
        """Queue what has arrived. Queues are processed while the next fetch runs, which keeps the membership alive."""
        full = {key for key, queue in self._queues.items() if queue.is_full}
        seconds = FULL_POLL_SECONDS if full else POLL_SECONDS
        messages = await self._call(lambda: self._member.fetch(seconds, lambda each: self._key(each) in full))
        for message in messages:
            self._find_queue(partition_of(message)).add(message)
        for queue in self._queues.values():
            queue.raise_failure()
        if 0 < len(messages) < BATCH_MESSAGES:
            # Messages that arrive during the pause are fetched together, from all partitions.
            await pause(self._context.group.pause_seconds, self._stop)

    def _key(self, partition: Partition) -> Partition | None:
        return partition if isinstance(self._context.group, bus.Group) else None

    def _find_queue(self, partition: Partition) -> MessageQueue:
        if (key := self._key(partition)) not in self._queues:
            self._queues[key] = open_queue(self._context, self._member.mark_processed)
        return self._queues[key]

    def _on_revoke(self, partitions: set[Partition], is_owned: bool) -> None:
        """Runs on the member's thread; the event loop goes on meanwhile, and closes the queues."""
        closing = asyncio.run_coroutine_threadsafe(self._hand_over(partitions), self._loop)
        if is_owned:
            with suppress(TimeoutError):
                closing.result(self._context.close_seconds + 2 * CLOSE_SECONDS)

    async def _hand_over(self, partitions: set[Partition]) -> None:
        if (common := self._queues.get(None)) is not None:
            common.discard(partitions)
        await self._close(partitions)

    async def _close(self, keys: Collection[Partition | None]) -> None:
        queues = [queue for key in keys if (queue := self._queues.pop(key, None)) is not None]
        await asyncio.gather(*(queue.close() for queue in queues))

    async def _call(self, function: Callable[[], T]) -> T:
        assert_no_transaction("the Kafka consumer")
        return await self._loop.run_in_executor(self._thread, function)
