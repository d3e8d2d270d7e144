"""A testbed with Kafka: Postgres records commit timestamps, and the broker append timestamps."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from tests.support.kafka_broker import KafkaBroker, fetch_jars

from benchmarks.testbed.testbed import Testbed, embedded_servers, open_testbed
from benchmarks.testbed.workload import Workload
from ticketing.infra.kafka import ensure_topics
from ticketing.infra.outbox import known_topics

#: The default setting of a deployment.
PARTITIONS = 6
#: How often the end of a new partition is requested, ten times per second.
TRIES_MAX = 300


@dataclass(frozen=True, slots=True)
class KafkaTestbed:
    """A testbed and a broker. Only processes that a benchmark starts read the log."""

    testbed: Testbed
    workload: Workload
    broker: KafkaBroker
    database: psycopg.Connection[tuple[object, ...]]

    def ends(self, topics: list[str]) -> dict[tuple[str, int], int]:
        """The number of records in each partition of these topics."""
        with self.reader() as reader:
            found = reader.list_topics(timeout=20).topics
            each = [(topic, number) for topic in topics if topic in found for number in found[topic].partitions]
            return {one: _end(reader, TopicPartition(*one)) for one in each}

    def create_topics(self, topics: Iterable[str]) -> None:
        """Create the topics that do not exist."""
        asyncio.run(ensure_topics(self.broker.bootstrap, topics, partitions=PARTITIONS))

    def reader(self) -> Consumer:
        """A consumer that commits no offsets."""
        return Consumer(
            {
                "bootstrap.servers": self.broker.bootstrap,
                "group.id": "benchmark",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
            }
        )

    def records(self, since: dict[tuple[str, int], int], until: dict[tuple[str, int], int]) -> Iterator[KafkaMessage]:
        """The records between two results of `ends`, in no particular order of partitions."""
        left = {one: end - since.get(one, 0) for one, end in until.items() if end > since.get(one, 0)}
        with self.reader() as reader:
            reader.assign([TopicPartition(*one, since.get(one, 0)) for one in left])
            wanted = sum(left.values())
            while wanted > 0:
                batch = reader.consume(min(wanted, 10_000), timeout=20)
                if not batch:
                    raise SystemExit(f"{wanted} records have disappeared")
                wanted -= len(batch)
                yield from batch


def _end(reader: Consumer, partition: TopicPartition) -> int:
    """The end offset; retried while a new partition has no leader."""
    for _ in range(TRIES_MAX):
        try:
            return int(reader.get_watermark_offsets(partition, timeout=20)[1])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
            time.sleep(0.1)
    raise SystemExit(f"{partition} has no leader")


@contextmanager
def open_kafka_testbed() -> Iterator[KafkaTestbed]:
    """A testbed and a broker with all topics, until the block ends."""
    with ExitStack() as stack:
        folder, postgres, valkey = stack.enter_context(embedded_servers({"track_commit_timestamp": "on"}))
        # Records get the time at which the broker has appended them.
        settings = {"log.message.timestamp.type": "LogAppendTime", "num.partitions": str(PARTITIONS)}
        broker = KafkaBroker(folder / "kafka", fetch_jars(), settings)
        stack.callback(broker.stop)
        broker.start()
        testbed = stack.enter_context(open_testbed(folder, postgres, valkey, kafka_bootstrap=broker.bootstrap))
        database = stack.enter_context(psycopg.connect(testbed.owner_url, autocommit=True))
        kafka = KafkaTestbed(testbed, Workload(testbed), broker, database)
        kafka.create_topics(known_topics())
        yield kafka
