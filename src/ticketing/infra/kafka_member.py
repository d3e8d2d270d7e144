"""A member of a consumer group: which partitions are ours, what comes from them, and how far we are.

What says "Blocking" waits for librdkafka and belongs on a thread; one thread, because rebalances are served there too.
"""

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from ticketing.infra import log
from ticketing.infra.kafka import client_settings

BATCH_MESSAGES = 200
POLL_SECONDS = 0.5

_log = log.get_logger(__name__)
Partition = tuple[str, int]


class Member:
    """One membership, from joining to leaving. It commits the offsets of those messages that `settled` was told of."""

    def __init__(self, bootstrap: str, group: str) -> None:
        self._group = group
        #: The next offset of each partition: everything before it is done, and not all of it is committed.
        self._done: dict[Partition, int] = {}
        self._owned: set[Partition] = set()
        #: Came with a keep-alive, from a partition that was assigned a moment before.
        self._early: list[KafkaMessage] = []
        self._consumer = Consumer(
            client_settings(bootstrap, group)
            | {
                "group.id": group,
                "enable.auto.commit": False,
                # A new group starts at the first message there is: what came before its first commit counts too.
                "auto.offset.reset": "earliest",
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 2_000,
                "socket.timeout.ms": 10_000,
                "fetch.wait.max.ms": 100,
                # Partitions of a topic that was made a moment before the member joined are known to it only after a
                # refresh, and nothing is read from them until then. The default is five minutes.
                "topic.metadata.refresh.interval.ms": 5_000,
            }
        )

    def owns(self, partition: Partition) -> bool:
        return partition in self._owned

    def settled(self, message: KafkaMessage) -> None:
        """This message and all before it in its partition are done for good."""
        self._done[partition_of(message)] = offset_of(message) + 1

    def join(self, topics: list[str]) -> None:
        self._consumer.subscribe(topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)

    def fetch(self) -> list[KafkaMessage]:
        """What there is, at most BATCH_MESSAGES and a few. Blocking, up to POLL_SECONDS.

        Raises:
            KafkaException: this member is done for; a new one can be made.
        """
        early, self._early = self._early, []
        # `consume` waits until its batch is full: so one is awaited, and what else is there already comes along.
        first = self._consumer.poll(0 if early else POLL_SECONDS)
        fetched = [first, *self._consumer.consume(BATCH_MESSAGES - 1, timeout=0)] if first is not None else []
        return [*early, *filter(self._is_readable, fetched)]

    def keep_alive(self) -> None:
        """Serve the group's rebalances and take no further messages until `resume`. Blocking, briefly."""
        self._consumer.pause(self._consumer.assignment())
        message = self._consumer.poll(0)
        if message is not None and self._is_readable(message):
            self._early.append(message)

    def resume(self) -> None:
        self._consumer.resume(self._consumer.assignment())

    def commit(self) -> None:
        """Blocking. What can't be committed now stays for the next time; until then it may be delivered once more."""
        done = {partition: offset for partition, offset in self._done.copy().items() if partition in self._owned}
        if not done:
            return
        offsets = [TopicPartition(topic, number, offset) for (topic, number), offset in done.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            _log.warning("commit_failed", group=self._group, error=str(error))
            return
        for partition, offset in done.items():
            # A lane may have come further meanwhile.
            if self._done.get(partition) == offset:
                del self._done[partition]

    def leave(self) -> None:
        """Commit and hand the partitions over at once. Blocking."""
        self.commit()
        self._consumer.close()

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
        # The next owner starts where this commit says; without it, it would do our last messages once more.
        self.commit()
        self._forget({(each.topic, each.partition) for each in partitions})

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        self._forget({(each.topic, each.partition) for each in partitions})

    def _forget(self, partitions: set[Partition]) -> None:
        self._owned -= partitions
        self._early = [message for message in self._early if partition_of(message) not in partitions]
        for partition in partitions:
            self._done.pop(partition, None)


def partition_of(message: KafkaMessage) -> Partition:
    topic, number = message.topic(), message.partition()
    assert topic is not None  # noqa: S101 (it was fetched, so it has a place)
    assert number is not None  # noqa: S101
    return topic, number


def offset_of(message: KafkaMessage) -> int:
    offset = message.offset()
    assert offset is not None  # noqa: S101 (it was fetched, so it has a place)
    return offset
