"""A member of a consumer group: which partitions are ours, what comes from them, and how far we are.

What says "Blocking" waits for librdkafka and belongs on a thread; one thread, because rebalances are served there too.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from ticketing.infra import log
from ticketing.infra.kafka.client import client_settings

BATCH_MESSAGES = 200
#: Offsets are committed so often while there is work, without waiting for the answer. What was done since the last time
#: comes once more after a crash, and the inbox knows it.
COMMIT_SECONDS = 0.2
#: Who leaves waits so long for the answers: while the group rebalances, there are none.
LEAVE_SECONDS = 3.0

_log = log.get_logger(__name__)
Partition = tuple[str, int]


class Member:
    """One membership, from joining to leaving. It commits the offsets of those messages that `settled` was told of."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        let_go: Callable[[set[Partition], bool], None],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`let_go` is called, on the thread of `fetch`, when partitions go to others; they are gone when it returns.

        Its second argument says whether they still are ours until then, and what is done may be settled.
        """
        self._group, self._let_go = group, let_go
        #: The next offset of each partition: everything before it is done, and its commit was not confirmed yet.
        self._done: dict[Partition, int] = {}
        self._is_committing = True
        self._owned: set[Partition] = set()
        self._paused: set[Partition] = set()
        self._consumer = Consumer(
            client_settings(bootstrap, group)
            | {
                "group.id": group,
                # Only the client knows when a commit can go through. The broker reads nothing from a member that waits
                # to join; a commit sent meanwhile is too late when it is read, or takes the connection down before.
                "enable.auto.commit": True,
                "auto.commit.interval.ms": round(1000 * COMMIT_SECONDS),
                "enable.auto.offset.store": False,
                "on_commit": self._on_commit,
                # A new group starts at the first message there is: what came before its first commit counts too.
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 6_000,
                "heartbeat.interval.ms": 2_000,
                "fetch.wait.max.ms": 100,
                # Partitions of a topic that was made a moment before the member joined are known to it only after a
                # refresh, and nothing is read from them until then. The default is five minutes.
                "topic.metadata.refresh.interval.ms": 5_000,
            }
            | dict(settings or {})
        )

    def owns(self, partition: Partition) -> bool:
        return partition in self._owned

    def settled(self, message: KafkaMessage) -> None:
        """This message and all before it in its partition are done for good."""
        if self.owns(partition := partition_of(message)):
            self._done[partition] = offset_of(message) + 1

    def join(self, topics: list[str]) -> None:
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def fetch(self, seconds: float, is_full: Callable[[Partition], bool]) -> list[KafkaMessage]:
        """What there is, at most BATCH_MESSAGES, and nothing of partitions that are full. Blocking, so long at most.

        It is also where this member shows that it is alive, takes part in rebalances and commits: never stop calling.

        Raises:
            KafkaException: this member is done for; a new one can be made.
        """
        self._pause({partition for partition in self._owned if is_full(partition)})
        self._store()
        # `consume` waits until its batch is full: so one is awaited, and what else is there already comes along.
        first = self._consumer.poll(seconds)
        fetched = [first, *self._consumer.consume(BATCH_MESSAGES - 1, timeout=0)] if first is not None else []
        return [each for each in fetched if self._is_readable(each) and self.owns(partition_of(each))]

    def leave(self) -> None:
        """Hand the partitions over at once, as in a rebalance: what is done is committed. Blocking."""
        try:
            self._pause(set(self._owned))
            self._wait(lambda: not self._owned & self._done.keys())
            # A client that is closed in the middle of a rebalance goes without a word, and its partitions wait for it
            # until it is thrown out. One that wants no topics any more says so as soon as it can, and loses its name.
            self._consumer.unsubscribe()
            self._wait(lambda: not self._consumer.memberid())
        finally:
            self._consumer.close()

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Take part in the group, and take nothing from it, until then; LEAVE_SECONDS at most."""
        end = time.monotonic() + LEAVE_SECONDS
        while not is_over() and time.monotonic() < end:
            self._store()
            self._consumer.poll(COMMIT_SECONDS / 4)

    def _store(self) -> None:
        """Tell the client what is done; it commits that when it can. On the thread that polls: it is locked by that."""
        if not self._done:
            return
        # A copy first: a lane may come further meanwhile.
        done = [TopicPartition(*each, end) for each, end in self._done.copy().items() if self.owns(each)]
        # What is refused was taken from us already, and comes once more to its next owner.
        with suppress(KafkaException):
            self._consumer.store_offsets(offsets=done)

    def _pause(self, wanted: set[Partition]) -> None:
        if more := wanted - self._paused:
            self._consumer.pause([TopicPartition(*each) for each in more])
        if fewer := self._paused - wanted:
            self._consumer.resume([TopicPartition(*each) for each in fewer])
        self._paused = wanted

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        failure = error or next((place.error for place in places if place.error is not None), None)
        # It is tried again until it is answered. One line says that it fails, and not one for each time.
        if failure is not None and self._is_committing:
            _log.warning("commit_failed", group=self._group, error=str(failure))
        self._is_committing = failure is None
        for place in places:
            partition = (place.topic, place.partition)
            if error is None and place.error is None and self._done.get(partition) == place.offset:
                del self._done[partition]

    def _is_readable(self, message: KafkaMessage) -> bool:
        """False for an event of the client that comes in a message's place."""
        error = message.error()
        if error is None:
            return True
        if error.fatal():
            raise KafkaException(error)
        _log.warning("consumer_event", group=self._group, code=error.name(), error=error.str())
        return False

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        assigned = {(each.topic, each.partition) for each in partitions}
        self._forget(assigned)
        self._owned |= assigned
        _log.info("partitions_assigned", group=self._group, partitions=len(self._owned))

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        revoked = {(each.topic, each.partition) for each in partitions}
        self._let_go(revoked, True)
        # When we return, the client commits what is done. The next owner starts there.
        self._store()
        self._forget(revoked)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        lost = {(each.topic, each.partition) for each in partitions}
        _log.warning("partitions_lost", group=self._group, partitions=len(lost))
        # They have an owner already, and how far it is, is its own to say.
        self._forget(lost)
        self._let_go(lost, False)

    def _forget(self, partitions: set[Partition]) -> None:
        self._owned -= partitions
        self._paused -= partitions
        for partition in partitions:
            self._done.pop(partition, None)


def partition_of(message: KafkaMessage) -> Partition:
    topic, number = message.topic(), message.partition()
    assert topic is not None  # it was fetched, so it has a place
    assert number is not None
    return topic, number


def offset_of(message: KafkaMessage) -> int:
    offset = message.offset()
    assert offset is not None  # it was fetched, so it has a place
    return offset
