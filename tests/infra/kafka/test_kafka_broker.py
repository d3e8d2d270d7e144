"""The broker that the other tests trust is a real one: it keeps what it acknowledged and where a group stood."""

import uuid

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.support.kafka_broker import KafkaBroker, patiently

pytestmark = pytest.mark.kafka


def create_topic(broker: KafkaBroker) -> str:
    topic = f"probe.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})  # Must outlive the future, which it would cancel.
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(timeout=20)
    return topic


def produce(broker: KafkaBroker, topic: str, values: list[str]) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "acks": "all", "enable.idempotence": True})
    for value in values:
        producer.produce(topic, value=value, key="k", headers={"message_id": value})
    assert producer.flush(20) == 0


def consume(broker: KafkaBroker, topic: str, count: int, group: str) -> list[Message]:
    """Reads `count` messages and commits behind the last of them."""
    settings = {"bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "enable.auto.commit": False})
    try:
        consumer.subscribe([topic])
        messages = consumer.consume(count, timeout=20)
        consumer.commit(asynchronous=False)
        return messages
    finally:
        consumer.close()


def committed_offset(broker: KafkaBroker, topic: str, group: str) -> int:
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group})
    try:
        (found,) = patiently(lambda: consumer.committed([TopicPartition(topic, 0)], timeout=20))
        return int(found.offset)
    finally:
        consumer.close()


def test_what_is_produced_is_consumed_with_its_key_and_headers(kafka_broker: KafkaBroker) -> None:
    topic = create_topic(kafka_broker)
    produce(kafka_broker, topic, ["a", "b"])
    messages = consume(kafka_broker, topic, 2, f"{topic}.group")
    assert [message.value() for message in messages] == [b"a", b"b"]
    assert {message.key() for message in messages} == {b"k"}
    assert messages[0].headers() == [("message_id", b"a")]


def test_a_topic_that_nobody_made_is_not_made_by_asking(kafka_broker: KafkaBroker) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap})
    admin.list_topics("probe.nobody", timeout=20)
    assert "probe.nobody" not in admin.list_topics(timeout=20).topics


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_messages_and_offsets_survive_a_restart(kafka_broker: KafkaBroker, end: str) -> None:
    topic = create_topic(kafka_broker)
    produce(kafka_broker, topic, ["a", "b", "c"])
    consume(kafka_broker, topic, 2, f"{topic}.group")
    address = kafka_broker.bootstrap

    getattr(kafka_broker, end)()
    assert not kafka_broker.running
    kafka_broker.start()

    assert kafka_broker.bootstrap == address
    assert committed_offset(kafka_broker, topic, f"{topic}.group") == 2
    assert [message.value() for message in consume(kafka_broker, topic, 1, f"{topic}.group")] == [b"c"]
    assert [message.value() for message in consume(kafka_broker, topic, 3, f"{topic}.late")] == [b"a", b"b", b"c"]
