"""The page size of the relay: it grows with a backlog while publishing is fast."""

import asyncio
import time
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.support.kafka_broker import KafkaBroker
from ticketing.infra.kafka import Record, ensure_topics
from ticketing.infra.kafka import producer as kafka_producer
from ticketing.infra.kafka.producer import PUBLISH_SECONDS, DeliveryFailed, KafkaProducer, RecordRefused
from ticketing.infra.outbox.reader import LEASE_SECONDS, PAGE_ROWS
from ticketing.workers.relay import PAGE_ROWS_MAX, PAGE_SECONDS_MAX, next_page_rows


def test_pages_grow_while_publishing_is_fast_up_to_a_limit() -> None:
    sizes = [PAGE_ROWS]
    while sizes[-1] < PAGE_ROWS_MAX:
        sizes.append(next_page_rows(sizes[-1], sizes[-1], seconds=sizes[-1] / 100_000))
    assert sizes == [500, 1000, 2000, 4000, 8000, 10_000]
    assert next_page_rows(10_000, 10_000, seconds=0.1) == PAGE_ROWS_MAX


def test_pages_shrink_when_publishing_becomes_slow() -> None:
    assert next_page_rows(10_000, 10_000, seconds=2) == 1500
    assert next_page_rows(1500, 1500, seconds=2.9) == PAGE_ROWS


def test_a_slow_page_of_few_rows_does_not_shrink_pages_below_the_minimum() -> None:
    assert next_page_rows(PAGE_ROWS, 1, seconds=1) == PAGE_ROWS


@pytest.mark.kafka
async def test_publish_does_not_wait_for_the_linger_time(
    kafka_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kafka_producer.PRODUCER_SETTINGS, "linger.ms", 50_000)
    monkeypatch.setitem(kafka_producer.PRODUCER_SETTINGS, "message.timeout.ms", 60_000)
    topic = f"lingering.{uuid4().hex[:8]}"
    await ensure_topics(kafka_broker.bootstrap, [topic], partitions=1)
    producer = KafkaProducer(kafka_broker.bootstrap, "lingering")
    try:
        await producer.publish([Record(topic, "A", "first", {})])  # the topic gets its leader meanwhile
        await asyncio.wait_for(producer.publish([Record(topic, "A", "second", {})]), 40)
    finally:
        await producer.close()


@pytest.mark.kafka
async def test_the_broker_rejects_records_of_a_process_that_was_stopped_for_long(kafka_broker: KafkaBroker) -> None:
    """Its buffered records have the timestamp of a lease that is over."""
    topic = f"late.{uuid4().hex[:8]}"
    await ensure_topics(kafka_broker.bootstrap, [topic], partitions=1)
    producer = KafkaProducer(kafka_broker.bootstrap, "late")
    try:
        in_time = time.time() - PAGE_SECONDS_MAX - PUBLISH_SECONDS
        await producer.publish([Record(topic, "A", "in time", {})], at=in_time)
        with pytest.raises(DeliveryFailed, match="INVALID_TIMESTAMP") as failure:
            await producer.publish([Record(topic, "A", "late", {})], at=time.time() - LEASE_SECONDS)
        # An outage, not a refused record: it is published again in time.
        assert not isinstance(failure.value, RecordRefused)
        await producer.publish([Record(topic, "A", "again", {})], at=time.time())
    finally:
        await producer.close()
    with Consumer({"bootstrap.servers": kafka_broker.bootstrap, "group.id": "late"}) as reader:
        reader.assign([TopicPartition(topic, 0, 0)])
        assert [record.value() for record in reader.consume(2, timeout=20)] == [b"in time", b"again"]
