"""Lanes: what a consumer has fetched and not done yet, worked off in order in each and side by side between them.

A lane that waits out an outage of its own message holds up nobody else: the others go on, and so does the member.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

from confluent_kafka import Message as KafkaMessage

from ticketing.infra import bus, crash_points
from ticketing.infra.bus.batches import Runs, Shared
from ticketing.infra.bus.delivery import Attempts
from ticketing.infra.db import Database
from ticketing.infra.kafka.dead_letters import DeadLetters
from ticketing.infra.kafka.membership import Partition, partition_of
from ticketing.infra.kafka.records import read_delivery
from ticketing.infra.outbox import Delivery
from ticketing.infra.retry import retry

#: Transactions that one member has open at a time.
TRANSACTIONS_MAX = 4

#: With so many waiting messages a lane is fed no more, and with so few again.
FULL_MESSAGES = 400
LOW_MESSAGES = 100
#: How long the work in hand may take when a lane is closed. Then it is cut off, which undoes its transaction.
CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Work:
    """What the lanes of one consumer have in common."""

    database: Database
    group: bus.AnyGroup
    dead_letters: DeadLetters
    attempts_max: int
    #: Each transaction takes a connection of the pool, which other groups share.
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TRANSACTIONS_MAX))

    @cached_property
    def shared(self) -> Shared:
        """What the lanes of partitions share, beside the places for those that go alone."""
        assert isinstance(self.group, bus.Group)  # another has one lane
        return Shared(self.database, self.group, self.places)


class Lane:
    """What waits of one partition, or of all for a group that takes them together; a task while there is any."""

    def __init__(self, work: Work, settled: Callable[[KafkaMessage], None]) -> None:
        self.work, self._settled = work, settled
        self._waiting: deque[KafkaMessage] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_full = False
        #: Ends the lane's waiting, and with it the lane.
        self.stop = asyncio.Event()

    @property
    def hand_max(self) -> int:
        """So many messages are taken in hand at once."""
        raise AssertionError("a lane says how it works")

    async def take(self, messages: list[KafkaMessage]) -> int:
        """Deal with the first few of these for good; how many they were. Raises bus.Stopped."""
        raise AssertionError("a lane says how it works")

    def add(self, message: KafkaMessage) -> None:
        self._waiting.append(message)
        if self._task is None or self._task.done():
            self.raise_failure()
            self._task = asyncio.create_task(self._work_off())

    @property
    def is_full(self) -> bool:
        """True from FULL_MESSAGES on, and until no more than LOW_MESSAGES are left."""
        self._is_full = len(self._waiting) > (LOW_MESSAGES if self._is_full else FULL_MESSAGES)
        return self._is_full

    def raise_failure(self) -> None:
        """Raises what has ended the work, if that was no stop of ours."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    def drop(self, partitions: Collection[Partition]) -> None:
        """Somebody else does what waits of these."""
        self._waiting = deque(each for each in self._waiting if partition_of(each) not in partitions)

    async def close(self) -> None:
        """Begin nothing more, and come to rest: what is in hand is finished and settled, or undone."""
        self.stop.set()
        if self._task is None:
            return
        if not (await asyncio.wait({self._task}, timeout=CLOSE_SECONDS))[0]:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
        self.raise_failure()

    async def _work_off(self) -> None:
        while self._waiting and not self.stop.is_set():
            hand = [self._waiting.popleft() for _ in range(min(self.hand_max, len(self._waiting)))]
            try:
                taken = await self.take(hand)
            except bus.Stopped:
                return
            crash_points.at("after_effect_before_offset")
            for message in hand[:taken]:
                self._settled(message)
            self._waiting.extendleft(reversed(hand[taken:]))


class PartitionLane(Lane):
    """The messages of one partition, in runs that share their transactions with those of the other partitions."""

    def __init__(self, work: Work, settled: Callable[[KafkaMessage], None]) -> None:
        super().__init__(work, settled)
        self._runs = Runs(work.shared, work.attempts_max, self.stop)

    @property
    def hand_max(self) -> int:
        return self._runs.size

    async def take(self, messages: list[KafkaMessage]) -> int:
        deliveries: list[Delivery] = []
        try:
            # As far as they can be read: one that can't is dealt with when it is the first.
            for message in messages:
                deliveries.append(read_delivery(message))
        except ValueError as error:
            if not deliveries:
                await self.work.dead_letters.bury(messages[0], bus.Poison(error, 1))
                return 1
        try:
            return await self._runs.take(deliveries)
        except bus.Poison as poison:
            await self.work.dead_letters.bury(messages[0], poison)
            return 1


class CommonLane(Lane):
    """All messages of all partitions at once, for a group whose effect is the same however often."""

    def __init__(self, work: Work, group: bus.BatchGroup, settled: Callable[[KafkaMessage], None]) -> None:
        super().__init__(work, settled)
        self._group = group

    @property
    def hand_max(self) -> int:
        return FULL_MESSAGES

    async def take(self, messages: list[KafkaMessage]) -> int:
        readable = [pair for message in messages if (pair := await self._read_or_bury(message))]
        try:
            await self._consume([delivery for _, delivery in readable], attempts_max=1)
        except bus.Poison:
            # One of them is at fault: its neighbours go through.
            for message, delivery in readable:
                await self._consume_or_bury(message, delivery)
        return len(messages)

    async def _read_or_bury(self, message: KafkaMessage) -> tuple[KafkaMessage, Delivery] | None:
        try:
            return message, read_delivery(message)
        except ValueError as error:
            await self.work.dead_letters.bury(message, bus.Poison(error, 1))
            return None

    async def _consume_or_bury(self, message: KafkaMessage, delivery: Delivery) -> None:
        try:
            await self._consume([delivery], self.work.attempts_max)
        except bus.Poison as poison:
            await self.work.dead_letters.bury(message, poison)

    async def _consume(self, deliveries: list[Delivery], attempts_max: int) -> None:
        """Raises Poison after so many failures that were no outage, and Stopped."""

        async def attempt() -> None:
            async with self.work.places:
                await self._group.consume(self.work.database, deliveries)

        if deliveries:
            await retry(attempt, Attempts(attempts_max, group=self._group.name).on_error, self.stop)


def open_lane(work: Work, settled: Callable[[KafkaMessage], None]) -> Lane:
    """The lane that suits the group."""
    if isinstance(work.group, bus.Group):
        return PartitionLane(work, settled)
    return CommonLane(work, work.group, settled)
