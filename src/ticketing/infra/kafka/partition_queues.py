"""Queues of messages that a consumer has fetched and not processed: each in order, all of them concurrently.

A queue that waits for the end of an outage does not delay the other queues, nor the membership.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from confluent_kafka import Message as KafkaMessage

from ticketing.infra import bus, crash_points
from ticketing.infra.bus.batches import Deliverer, GroupBatcher
from ticketing.infra.bus.containment import Containment
from ticketing.infra.bus.delivery import OwnershipCheck, always_owned
from ticketing.infra.db import Database
from ticketing.infra.kafka.dead_letters import DeadLetters
from ticketing.infra.kafka.membership import Partition, partition_of
from ticketing.infra.kafka.records import read_delivery

#: The most transactions that one member has open at a time.
TRANSACTIONS_MAX = 4

#: A queue is full from this many messages on, and until it is down to LOW_MESSAGES.
FULL_MESSAGES = 400
LOW_MESSAGES = 100
#: The most that a group which takes many messages at once is given: they are parsed without a pause in the event loop.
BATCH_BYTES_MAX = 1_000_000
#: How long the current batch may take when a queue is closed. Then it is cancelled, which rolls its transaction back.
CLOSE_SECONDS = 5.0
#: The same for an external effect, which cannot be rolled back: the next owner would repeat an email whose server is
#: slow. Below Kafka's limit of 300 s for a rebalance; the other partitions continue meanwhile.
EXTERNAL_CLOSE_SECONDS = 60.0


@dataclass(frozen=True)
class QueueContext:
    """What the queues of one consumer share."""

    database: Database
    group: bus.AnyGroup
    dead_letters: DeadLetters
    attempts_max: int
    #: Each transaction takes a connection from the pool, which other groups use as well.
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TRANSACTIONS_MAX))

    #: Raises Retry when this process may have left the group, so that another member owns its partitions.
    check_ownership: OwnershipCheck = always_owned

    @property
    def close_seconds(self) -> float:
        """How long a queue may need to close; see CLOSE_SECONDS."""
        return EXTERNAL_CLOSE_SECONDS if isinstance(self.group, bus.ExternalGroup) else CLOSE_SECONDS

    @cached_property
    def batcher(self) -> GroupBatcher:
        """The batches that the queues of partitions fill together."""
        assert isinstance(self.group, bus.Group)  # any other group has one queue
        return GroupBatcher(self.database, self.group, self.slots)

    @cached_property
    def containment(self) -> Containment[KafkaMessage]:
        return Containment(read_delivery, self.dead_letters.bury)


class MessageQueue(ABC):
    """The fetched messages of one partition, or of all for a group that takes them together; a task processes them."""

    def __init__(self, context: QueueContext, mark_processed: Callable[[KafkaMessage], None]) -> None:
        self.context, self._mark_processed = context, mark_processed
        self._waiting: deque[KafkaMessage] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_full = False
        #: Ends back-off, and with it the task.
        self.stop = asyncio.Event()

    @property
    @abstractmethod
    def batch_max(self) -> int:
        """The most messages that `process` is given at once."""

    @abstractmethod
    async def process(self, messages: list[KafkaMessage]) -> int:
        """Process the first of these messages; how many of them. Raises bus.Stopped."""

    def add(self, message: KafkaMessage) -> None:
        self._waiting.append(message)
        if self._task is None or self._task.done():
            self.raise_failure()
            self._task = asyncio.create_task(self._process_all())

    @property
    def is_full(self) -> bool:
        """True above FULL_MESSAGES, and then until at most LOW_MESSAGES are left."""
        self._is_full = len(self._waiting) > (LOW_MESSAGES if self._is_full else FULL_MESSAGES)
        return self._is_full

    def raise_failure(self) -> None:
        """Raise the error that ended the task, unless it was closed."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def discard(self, partitions: Collection[Partition]) -> None:
        """Drop the waiting messages of partitions that another member owns now."""
        self._waiting = deque(each for each in self._waiting if partition_of(each) not in partitions)

    async def close(self) -> None:
        """Start no other batch; finish the current one, or cancel it after `close_seconds`."""
        self.stop.set()
        if self._task is None:
            return
        if not (await asyncio.wait({self._task}, timeout=self.context.close_seconds))[0]:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        self.raise_failure()

    async def _process_all(self) -> None:
        while self._waiting and not self.stop.is_set():
            batch = [self._waiting.popleft() for _ in range(min(self.batch_max, len(self._waiting)))]
            try:
                processed = await self.process(batch)
            except bus.Stopped:
                return
            crash_points.at("after_effect_before_offset")
            for message in batch[:processed]:
                self._mark_processed(message)
            self._waiting.extendleft(reversed(batch[processed:]))


class PartitionQueue(MessageQueue):
    """The messages of one partition, in batches that share transactions with those of the other partitions."""

    def __init__(self, context: QueueContext, mark_processed: Callable[[KafkaMessage], None]) -> None:
        super().__init__(context, mark_processed)
        self._deliverer = Deliverer(context.batcher, context.attempts_max, self.stop, context.check_ownership)

    @property
    def batch_max(self) -> int:
        return self._deliverer.size

    async def process(self, messages: list[KafkaMessage]) -> int:
        return await self.context.containment.deliver_next(self._deliverer, messages)


class SharedQueue(MessageQueue):
    """The messages of all partitions, for a group that takes many at once and whose effect is idempotent."""

    def __init__(
        self, context: QueueContext, group: bus.BatchGroup, mark_processed: Callable[[KafkaMessage], None]
    ) -> None:
        super().__init__(context, mark_processed)
        self._group = group

    @property
    def batch_max(self) -> int:
        return FULL_MESSAGES

    async def process(self, messages: list[KafkaMessage]) -> int:
        context = self.context
        some = messages[: count_up_to_bytes(messages, BATCH_BYTES_MAX)]
        await context.containment.consume_all(context.database, self._group, some, self.stop, context.slots)
        return len(some)


def count_up_to_bytes(messages: Sequence[KafkaMessage], bytes_max: int) -> int:
    """How many of the first messages have at most `bytes_max` bytes together; at least one."""
    total = 0
    for count, message in enumerate(messages):
        total += len(message.value() or b"")
        if total > bytes_max:
            return max(count, 1)
    return len(messages)


def open_queue(context: QueueContext, mark_processed: Callable[[KafkaMessage], None]) -> MessageQueue:
    """The kind of queue that the group needs; `mark_processed` is called with each message after its effect."""
    if isinstance(context.group, bus.Group):
        return PartitionQueue(context, mark_processed)
    return SharedQueue(context, context.group, mark_processed)
