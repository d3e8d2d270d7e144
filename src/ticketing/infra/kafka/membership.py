"""A member of a consumer group: the partitions it owns, the messages it fetches, and the offsets it commits.

Methods marked "Blocking" wait for librdkafka, so they run on a thread; on one thread, because `fetch` also runs the
rebalance callbacks.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from ticketing.infra import log
from ticketing.infra.kafka.client import client_settings
from ticketing.infra.kafka.records import check_headers
from ticketing.infra.system.retry import Retry

BATCH_MESSAGES = 200
#: How often offsets are committed, asynchronously. After a crash, messages processed since the last commit are
#: delivered again, and the inbox recognizes them.
COMMIT_SECONDS = 0.2
#: The broker evicts a member that it has not heard from for this long.
SESSION_SECONDS = 6
#: How long a leaving member waits for its commits, which are not confirmed while the group rebalances.
LEAVE_SECONDS = 3.0

_log = log.get_logger(__name__)
Partition = tuple[str, int]


class Member:
    """One membership, from `join` to `leave`. It commits the offsets of messages that were marked as processed."""

    def __init__(
        self,
        bootstrap: str,
        group: str,
        on_revoke: Callable[[set[Partition], bool], None],
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """`on_revoke` is called on the thread of `fetch` before partitions move to another member.

        Its second argument is True if this member owns them until it returns, so that their offsets can be committed.
        """
        self._group, self._on_revoked = group, on_revoke
        #: The next offset of each partition whose commit is not confirmed yet: everything before it is processed.
        self._processed: dict[Partition, int] = {}
        self._is_committing = True
        self._owned: set[Partition] = set()
        self._paused: set[Partition] = set()
        #: When `fetch` was last called, on `time.monotonic`; infinite while it hands partitions over.
        self._fetched_at = math.inf
        self._consumer = Consumer(
            client_settings(bootstrap, group)
            | {
                "group.id": group,
                # Only the client knows when a commit can succeed. The broker reads nothing from a member that waits to
                # join; a commit sent meanwhile is too late when it is read, or breaks the connection.
                "enable.auto.commit": True,
                "auto.commit.interval.ms": round(1000 * COMMIT_SECONDS),
                "enable.auto.offset.store": False,
                "on_commit": self._on_commit,
                # A new group starts at the oldest message, so that it misses none before its first commit.
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 1000 * SESSION_SECONDS,
                "heartbeat.interval.ms": 2_000,
                "fetch.wait.max.ms": 100,
                # Partitions of a topic that was created just before the member joined are known to it only after a
                # refresh, and are not read until then. The default is five minutes.
                "topic.metadata.refresh.interval.ms": 5_000,
            }
            | dict(settings or {})
        )

    def owns(self, partition: Partition) -> bool:
        return partition in self._owned

    def mark_processed(self, message: KafkaMessage) -> None:
        """This message and all before it in its partition are processed, and their offset can be committed."""
        if self.owns(partition := partition_of(message)):
            self._processed[partition] = offset_of(message) + 1

    def check_membership(self) -> None:
        """Raises Retry when the group may have evicted this member: the process was suspended, or its event loop.

        An eviction for another reason is reported by `fetch`.
        """
        if time.monotonic() >= self._fetched_at + SESSION_SECONDS:
            raise Retry("this member may have left the group")

    def join(self, topics: list[str]) -> None:
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def fetch(self, seconds: float, is_full: Callable[[Partition], bool]) -> list[KafkaMessage]:
        """At most BATCH_MESSAGES messages, none of partitions that are full. Blocking, for at most `seconds`.

        Call it continuously: it also keeps the membership alive, takes part in rebalances and commits.

        Raises:
            KafkaException: this member can't continue; a new one can be created.
        """
        self._fetched_at = time.monotonic()
        self._pause({partition for partition in self._owned if is_full(partition)})
        self._store()
        # `consume` would wait until its batch is full: wait for one message, and take what else has arrived.
        first = self._consumer.poll(seconds)
        fetched = [first, *self._consumer.consume(BATCH_MESSAGES - 1, timeout=0)] if first is not None else []
        return [check_headers(each) for each in fetched if self._is_readable(each) and self.owns(partition_of(each))]

    def leave(self) -> None:
        """Commit, and hand the partitions over at once, as in a rebalance. Blocking."""
        try:
            self._pause(set(self._owned))
            self._wait(lambda: not self._owned & self._processed.keys())
            # A client that is closed during a rebalance does not leave the group, and its partitions are assigned to
            # others only after its session timeout. One that unsubscribes leaves as soon as it can, and then has no
            # member id.
            self._consumer.unsubscribe()
            self._wait(lambda: not self._consumer.memberid())
        finally:
            self._consumer.close()

    def _wait(self, is_over: Callable[[], bool]) -> None:
        """Take part in the group without fetching, for at most LEAVE_SECONDS."""
        deadline = time.monotonic() + LEAVE_SECONDS
        while not is_over() and time.monotonic() < deadline:
            self._store()
            self._consumer.poll(COMMIT_SECONDS / 4)

    def _store(self) -> None:
        """Store offsets in the client, which commits them. Only on the polling thread: polling locks the client."""
        if not self._processed:
            return
        # A copy: the event loop may change it meanwhile.
        offsets = [TopicPartition(*each, offset) for each, offset in self._processed.copy().items() if self.owns(each)]
        # Offsets of a partition that was revoked meanwhile are rejected; its next owner repeats those messages.
        with suppress(KafkaException):
            self._consumer.store_offsets(offsets=offsets)

    def _pause(self, wanted: set[Partition]) -> None:
        if more := wanted - self._paused:
            self._consumer.pause([TopicPartition(*each) for each in more])
        if fewer := self._paused - wanted:
            self._consumer.resume([TopicPartition(*each) for each in fewer])
        self._paused = wanted

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        failure = error or next((place.error for place in places if place.error is not None), None)
        # Commits are retried until they are confirmed; only the first failure is logged.
        if failure is not None and self._is_committing:
            _log.warning("commit_failed", group=self._group, error=str(failure))
        self._is_committing = failure is None
        for place in places:
            partition = (place.topic, place.partition)
            if error is None and place.error is None and self._processed.get(partition) == place.offset:
                del self._processed[partition]

    def _is_readable(self, message: KafkaMessage) -> bool:
        """False for an error event of the client in place of a message."""
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
        self._fetched_at = math.inf
        self._on_revoked(revoked, True)
        # When this returns, the client commits the stored offsets, where the next owner starts.
        self._store()
        self._forget(revoked)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        lost = {(each.topic, each.partition) for each in partitions}
        _log.warning("partitions_lost", group=self._group, partitions=len(lost))
        # Another member owns them already, and commits its own offsets.
        self._forget(lost)
        self._on_revoked(lost, False)

    def _forget(self, partitions: set[Partition]) -> None:
        self._owned -= partitions
        self._paused -= partitions
        for partition in partitions:
            self._processed.pop(partition, None)


def partition_of(message: KafkaMessage) -> Partition:
    topic, number = message.topic(), message.partition()
    assert topic is not None  # fetched messages have a topic, a partition and an offset
    assert number is not None
    return topic, number


def offset_of(message: KafkaMessage) -> int:
    offset = message.offset()
    assert offset is not None
    return offset
