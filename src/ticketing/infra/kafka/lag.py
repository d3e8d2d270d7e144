"""The lag of consumer groups on Kafka: measured at the broker, and stored for the alert."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from sqlalchemy import BigInteger, Integer, Text, func
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base
from ticketing.infra.kafka.client import client_settings
from ticketing.infra.system.outside_calls import assert_no_transaction

TIMEOUT_SECONDS = 5.0

Partition = tuple[str, int]


class KafkaLag(Base):
    """A partition with messages that a group has not processed; `since` is when its committed offset last moved."""

    __tablename__ = "kafka_lag"

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    committed: Mapped[int] = mapped_column(BigInteger)
    messages: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime] = mapped_column(server_default=func.now())


class Lag(NamedTuple):
    """The number of messages of a partition that a group has not processed."""

    consumer: str
    topic: str
    partition: int
    committed: int
    messages: int


def measure(bootstrap: str, groups: Mapping[str, Sequence[str]]) -> list[Lag]:
    """The lag of every partition that each group reads, including those without lag. Blocking.

    Raises:
        KafkaException: the broker did not respond within TIMEOUT_SECONDS.
    """
    assert_no_transaction("the Kafka admin client")
    admin = AdminClient(client_settings(bootstrap, "lag"))
    known = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    topics = {topic for wanted in groups.values() for topic in wanted} & known.keys()
    places = [TopicPartition(topic, number) for topic in sorted(topics) for number in known[topic].partitions]
    if not places:
        return []
    first = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    end = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    found = []
    for group, wanted in groups.items():
        for each in _committed(admin, group, [place for place in places if place.topic in wanted]):
            place = (each.topic, each.partition)
            # A group that has not committed yet starts at the oldest message.
            committed = max(each.offset, first[place])
            found.append(Lag(group, *place, committed, max(0, end[place] - committed)))
    return found


def _offsets(admin: AdminClient, places: list[TopicPartition], spec: OffsetSpec) -> dict[Partition, int]:
    futures = admin.list_offsets({place: spec for place in places}, request_timeout=TIMEOUT_SECONDS)
    return {(place.topic, place.partition): future.result().offset for place, future in futures.items()}


def _committed(admin: AdminClient, group: str, places: list[TopicPartition]) -> list[TopicPartition]:
    request = [ConsumerGroupTopicPartitions(group, places)]
    (future,) = admin.list_consumer_group_offsets(request, request_timeout=TIMEOUT_SECONDS).values()
    found: list[TopicPartition] = future.result().topic_partitions
    return found


async def record_lags(session: AsyncSession, lags: Iterable[Lag]) -> None:
    """Store the partitions with lag, each with the time of its last commit, and delete those without."""
    rows: list[dict[str, Any]] = [lag._asdict() for lag in lags if lag.messages > 0]
    connection = await session.connection()
    kept = [f"{row['consumer']} {row['topic']} {row['partition']}" for row in rows]
    await connection.exec_driver_sql(_DELETE_CAUGHT_UP, {"kept": kept})
    if rows:
        await connection.exec_driver_sql(_UPSERT, rows)


_DELETE_CAUGHT_UP = """
delete from kafka_lag where consumer || ' ' || topic || ' ' || partition <> all (cast(%(kept)s as text[]))"""
_UPSERT = """
insert into kafka_lag as k (consumer, topic, partition, committed, messages)
values (%(consumer)s, %(topic)s, %(partition)s, %(committed)s, %(messages)s)
on conflict (consumer, topic, partition) do update
   set committed = excluded.committed, messages = excluded.messages,
       since = case when k.committed = excluded.committed then k.since else now() end"""
