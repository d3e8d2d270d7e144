"""What the backbone is measured on: Postgres with times of commits, and a real Kafka with times of appends."""

import asyncio
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from tests.kafka_broker import KafkaBroker, fetch_jars

from benchmarks.crowd import Crowd
from benchmarks.stage import Stage, open_stage, servers
from ticketing.infra.kafka import ensure_topics
from ticketing.infra.outbox import known_topics

#: What the settings of a deployment say by default.
PARTITIONS = 6
#: How often a new partition is asked for its end, ten times a second.
PATIENCE = 300


@dataclass(frozen=True, slots=True)
class Backbone:
    """One stage whose log goes to one broker. Only what a benchmark starts reads the log."""

    stage: Stage
    crowd: Crowd
    broker: KafkaBroker
    database: psycopg.Connection[tuple[object, ...]]

    def ends(self, topics: list[str]) -> dict[tuple[str, int], int]:
        """How many records each partition of these topics has got so far."""
        with self.reader() as reader:
            found = reader.list_topics(timeout=20).topics
            each = [(topic, number) for topic in topics if topic in found for number in found[topic].partitions]
            return {one: _end(reader, TopicPartition(*one)) for one in each}

    def make(self, topics: Iterable[str]) -> None:
        """Make these topics, unless they are there."""
        asyncio.run(ensure_topics(self.broker.bootstrap, topics, partitions=PARTITIONS))

    def reader(self) -> Consumer:
        """Reads what it is told to, and remembers nothing."""
        return Consumer(
            {
                "bootstrap.servers": self.broker.bootstrap,
                "group.id": "benchmark",
                "enable.auto.commit": False,
                "enable.partition.eof": False,
            }
        )

    def records(self, since: dict[tuple[str, int], int], until: dict[tuple[str, int], int]) -> Iterator[KafkaMessage]:
        """Every record between two looks at the ends, in no particular order of the partitions."""
        left = {one: end - since.get(one, 0) for one, end in until.items() if end > since.get(one, 0)}
        with self.reader() as reader:
            reader.assign([TopicPartition(*one, since.get(one, 0)) for one in left])
            wanted = sum(left.values())
            while wanted > 0:
                batch = reader.consume(min(wanted, 10_000), timeout=20)
                if not batch:
                    raise SystemExit(f"{wanted} records that were there are not there any more")
                wanted -= len(batch)
                yield from batch


def _end(reader: Consumer, partition: TopicPartition) -> int:
    """Asked for again while the partition is so new that it has no leader."""
    for _ in range(PATIENCE):
        try:
            return int(reader.get_watermark_offsets(partition, timeout=20)[1])
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                raise
            time.sleep(0.1)
    raise SystemExit(f"{partition} has got no leader")


@contextmanager
def open_backbone() -> Iterator[Backbone]:
    """A stage with the API, and a broker with our topics; both are gone with the block."""
    with ExitStack() as stack:
        folder, postgres, valkey = stack.enter_context(servers({"track_commit_timestamp": "on"}))
        # The time at which the broker has a record is the broker's to say.
        settings = {"log.message.timestamp.type": "LogAppendTime", "num.partitions": str(PARTITIONS)}
        broker = KafkaBroker(folder / "kafka", fetch_jars(), settings)
        stack.callback(broker.stop)
        broker.start()
        stage = stack.enter_context(open_stage(folder, postgres, valkey, kafka=broker.bootstrap))
        database = stack.enter_context(psycopg.connect(stage.owner_url, autocommit=True))
        backbone = Backbone(stage, Crowd(stage), broker, database)
        backbone.make(known_topics())
        yield backbone
