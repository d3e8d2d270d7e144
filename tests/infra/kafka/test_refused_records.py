"""A record that Kafka will never accept does not stop the relay, and a deleted topic is created again."""

import asyncio
import secrets

import orjson
import pytest
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import text

from tests.infra.kafka.pipeline import Pipeline
from tests.support.platform import eventually

pytestmark = pytest.mark.kafka


async def make_topic(pipeline: Pipeline, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
    made = admin.create_topics([NewTopic(pipeline.topic, pipeline.settings.kafka_partitions, 1, config=config)])
    await asyncio.to_thread(made[pipeline.topic].result, 20)


async def dead_letters(pipeline: Pipeline) -> list[tuple[str, str, str]]:
    async with pipeline.database.transaction() as session:
        rows = await session.execute(text("select consumer, key, error from dead_letters order by id"))
        return [(row.consumer, row.key, row.error) for row in rows]


@pytest.mark.parametrize(
    ("characters", "config"),
    # librdkafka rejects the first, the broker the second.
    [(1_200_000, {}), (20_000, {"max.message.bytes": "10000"})],
)
async def test_a_record_that_is_too_large_becomes_a_dead_letter_and_the_relay_continues(
    pipeline: Pipeline, characters: int, config: dict[str, str]
) -> None:
    await make_topic(pipeline, **config)
    large = secrets.token_hex(characters // 2)
    await pipeline.publish(("A", 0), ("B", 0), ("A", 1), (large, 0), ("A", 2), ("B", 1))
    async with pipeline.relaying():
        (dead_letter,) = await eventually(lambda: dead_letters(pipeline))
        assert dead_letter[:2] == ("relay", large)
        assert "MSG_SIZE_TOO_LARGE" in dead_letter[2]
        await pipeline.publish(("A", 3))

        async def have_arrived() -> list[KafkaMessage]:
            found = await asyncio.to_thread(pipeline.all_records)
            return found if len({dict(record.headers())["message_id"] for record in found}) >= 6 else []

        records = await eventually(have_arrived)
    seen: dict[bytes, str] = {}
    for record in records:
        message = orjson.loads(record.value())
        seen.setdefault(dict(record.headers())["message_id"], f"{message['seat']}{message['coat']}")
    firsts = [*seen.values()]
    assert sorted(firsts) == ["A0", "A1", "A2", "A3", "B0", "B1"]
    assert [one for one in firsts if one[0] == "A"] == ["A0", "A1", "A2", "A3"]


async def test_a_deleted_topic_is_created_again_and_waiting_messages_arrive(pipeline: Pipeline) -> None:
    await pipeline.publish(("A", 0))
    async with pipeline.relaying():
        assert len(await asyncio.to_thread(pipeline.records, 1)) == 1
        admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
        await asyncio.to_thread(admin.delete_topics([pipeline.topic])[pipeline.topic].result, 20)
        await pipeline.publish(("A", 1))

        async def has_arrived() -> bool:
            # The first record may come again or still be there: the topic is deleted after the broker confirms it.
            found = await asyncio.to_thread(pipeline.records, 2, seconds=1)
            return any(orjson.loads(record.value())["coat"] == 1 for record in found)

        await eventually(has_arrived)


@pytest.mark.parametrize(("topic", "actor"), [("not a topic!", ""), ("seat.painted", "a\x1eb\x1f")])
async def test_a_row_that_is_no_record_becomes_a_dead_letter_and_the_relay_continues(
    pipeline: Pipeline, topic: str, actor: str
) -> None:
    await pipeline.publish(("A", 0))
    async with pipeline.database.transaction() as session:
        await session.execute(
            text("""
            insert into outbox (message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
            values (gen_random_uuid(), :topic, 'A', 1, '{}', '', '', :actor)"""),
            {"topic": topic, "actor": actor},
        )
    await pipeline.publish(("A", 2))
    async with pipeline.relaying():
        (dead_letter,) = await eventually(lambda: dead_letters(pipeline))

        async def have_arrived() -> bool:
            found = await asyncio.to_thread(pipeline.all_records)
            return {orjson.loads(record.value())["coat"] for record in found} == {0, 2}

        await eventually(have_arrived)
    assert dead_letter[0] == "relay"
