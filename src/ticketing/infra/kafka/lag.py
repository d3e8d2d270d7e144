"""How far consumer groups are behind on Kafka: the broker is asked, and what lags is written down for the alert."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from sqlalchemy import BigInteger, Integer, Text, func, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base
from ticketing.infra.kafka.client import client_settings

PATIENCE_SECONDS = 5.0

Place = tuple[str, int]


class KafkaLag(Base):
    """A partition that has messages which a group has not done; `since` is when its offset moved last."""

    __tablename__ = "kafka_lag"

    consumer: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    committed: Mapped[int] = mapped_column(BigInteger)
    messages: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[datetime] = mapped_column(server_default=func.now())


class Lag(NamedTuple):
    """So many messages of a partition a group has not done."""

    consumer: str
    topic: str
    partition: int
    committed: int
    messages: int


def measure(bootstrap: str, groups: Mapping[str, Sequence[str]]) -> list[Lag]:
    """Every partition of the topics that each group reads, also those where nothing lags. Blocking.

    Raises:
        KafkaException: the broker did not answer within PATIENCE_SECONDS.
    """
    admin = AdminClient(client_settings(bootstrap, "lag"))
    known = admin.list_topics(timeout=PATIENCE_SECONDS).topics
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
            # A group that has committed nothing yet begins at the first message that there is.
            done = max(each.offset, first[place])
            found.append(Lag(group, *place, done, max(0, end[place] - done)))
    return found


def _offsets(admin: AdminClient, places: list[TopicPartition], spec: OffsetSpec) -> dict[Place, int]:
    asked = admin.list_offsets({place: spec for place in places}, request_timeout=PATIENCE_SECONDS)
    return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}


def _committed(admin: AdminClient, group: str, places: list[TopicPartition]) -> list[TopicPartition]:
    asked = [ConsumerGroupTopicPartitions(group, places)]
    (future,) = admin.list_consumer_group_offsets(asked, request_timeout=PATIENCE_SECONDS).values()
    found: list[TopicPartition] = future.result().topic_partitions
    return found


async def note(session: AsyncSession, lags: Iterable[Lag]) -> None:
    """Keep what lags, each with the time since when its offset has stood still; what has caught up is forgotten."""
    rows: list[dict[str, Any]] = [lag._asdict() for lag in lags if lag.messages > 0]
    await session.execute(text(_FORGET), {"kept": [f"{r['consumer']} {r['topic']} {r['partition']}" for r in rows]})
    if rows:
        await session.execute(text(_NOTE), rows)


_FORGET = """
delete from kafka_lag where consumer || ' ' || topic || ' ' || partition <> all (cast(:kept as text[]))"""
_NOTE = """
insert into kafka_lag as k (consumer, topic, partition, committed, messages)
values (:consumer, :topic, :partition, :committed, :messages)
on conflict (consumer, topic, partition) do update
   set committed = excluded.committed, messages = excluded.messages,
       since = case when k.committed = excluded.committed then k.since else now() end"""
