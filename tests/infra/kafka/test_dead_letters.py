"""A dead letter over Kafka is on `<topic>.dlq` and in the table, and is not acknowledged before it is in both."""

import asyncio
import base64
import time
from datetime import UTC, datetime

import orjson
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import select

from tests.infra.bus.bad_messages import Bad, good_headers
from tests.infra.kafka.foreign_client import ForeignClient
from tests.infra.kafka.pipeline import ORGANIZATION, BatchPainters, Pipeline, SeatPainted, coats
from tests.support.kafka_broker import free_ports
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.db import Database, new_id
from ticketing.infra.kafka import DEAD_LETTER_SUFFIX, ensure_topics
from ticketing.infra.kafka.records import record_of
from ticketing.infra.outbox import Delivery, encoded_rows

pytestmark = pytest.mark.kafka

HEADERS = tuple(good_headers())
#: The server reports an outage, as it does while it is starting.
BREAK = """
create function refuse_letters() returns trigger language plpgsql as $$
begin raise exception 'not now' using errcode = '57P03'; end $$;
create trigger refuse_letters before insert on dead_letters for each row execute function refuse_letters();"""
MEND = "drop function refuse_letters() cascade"


async def choke(message: SeatPainted) -> None:
    if message.coat == 1:
        raise RuntimeError("this coat does not dry")


async def dead_letter_rows(database: Database) -> list[DeadLetter]:
    async with database.transaction() as session:
        return list(await session.scalars(select(DeadLetter).order_by(DeadLetter.id)))


async def run(database: Database, statements: str) -> None:
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(statements)


async def wait_for_dead_letters(pipeline: Pipeline, count: int) -> list[DeadLetter]:
    end = time.monotonic() + 60
    while len(found := await dead_letter_rows(pipeline.database)) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} dead letters"
        await asyncio.sleep(0.05)
    return found


async def test_a_poison_message_becomes_a_dead_letter_and_the_others_are_processed(pipeline: Pipeline) -> None:
    pipeline.before_paint = choke
    await pipeline.publish(*coats("A", 3))
    async with pipeline.relaying(), pipeline.consuming():
        assert await pipeline.wait_for_effects(2) == [("A", 0), ("A", 2)]
        (record,) = await asyncio.to_thread(pipeline.dead_letters, 1)
    headers = {name: value.decode() for name, value in record.headers()}
    assert orjson.loads(record.value())["coat"] == 1
    assert record.key() == b"A"
    assert "this coat does not dry" in headers["dlq_error"]
    assert headers["dlq_attempts"] == "2"
    assert headers["dlq_group"] == pipeline.group.name
    assert (headers["dlq_topic"], headers["dlq_offset"]) == (pipeline.topic, "1")
    assert headers["dlq_partition"].isdigit()
    assert headers.keys() >= {"message_id", "occurred_at", "organization_id", "correlation_id"}
    (row,) = await dead_letter_rows(pipeline.database)
    assert (row.consumer, row.topic, row.key, row.attempts) == (pipeline.group.name, pipeline.topic, "A", 2)
    assert row.origin == f"{pipeline.topic}/{headers['dlq_partition']}/1"
    assert (str(row.message_id), row.organization_id) == (headers["message_id"], ORGANIZATION)
    assert row.message["payload"]["coat"] == 1
    assert "this coat does not dry" in row.error
    assert await asyncio.to_thread(pipeline.committed) == 3


async def test_a_foreign_record_becomes_a_dead_letter_and_stops_no_consumer(pipeline: Pipeline) -> None:
    foreign = ForeignClient(pipeline.settings.kafka_bootstrap_servers)
    await ensure_topics(pipeline.settings.kafka_bootstrap_servers, [pipeline.topic], partitions=3)
    foreign.write(pipeline.topic, Bad("foreign", b"\xff not JSON", without=HEADERS))
    await asyncio.to_thread(foreign.flush)
    await pipeline.publish(("A", 1))
    async with pipeline.relaying(), pipeline.consuming():
        assert await pipeline.wait_for_effects(1) == [("A", 1)]
        (record,) = await asyncio.to_thread(pipeline.dead_letters, 1)
    assert record.value() == b"\xff not JSON"
    assert b"header 'message_id' is missing" in dict(record.headers())["dlq_error"]
    (row,) = await dead_letter_rows(pipeline.database)
    assert base64.b64decode(row.message["value"]) == b"\xff not JSON"
    assert (row.organization_id, row.key, row.origin.partition("/")[0]) == (None, "A", pipeline.topic)


async def test_poison_whose_dead_letter_cannot_be_published_is_not_acknowledged(pipeline: Pipeline) -> None:
    pipeline.before_paint = choke
    await pipeline.publish(*coats("A", 3))
    no_broker = f"127.0.0.1:{free_ports(1)[0]}"
    async with pipeline.relaying(), pipeline.consuming_with_dead_letters_to(no_broker):
        await pipeline.wait_for_effects(1)
        await asyncio.sleep(3)
    assert await pipeline.effects() == [("A", 0)]
    assert await asyncio.to_thread(pipeline.committed) == 1

    async with pipeline.consuming():
        assert await pipeline.wait_for_effects(2) == [("A", 0), ("A", 2)]
        assert len(await asyncio.to_thread(pipeline.dead_letters, 1)) == 1
        assert len(await wait_for_dead_letters(pipeline, 1)) == 1


async def test_a_poison_message_in_a_batch_becomes_a_dead_letter_and_the_others_are_processed(
    pipeline: Pipeline,
) -> None:
    painters = BatchPainters(pipeline.group.name, pipeline.topic, bad=1)
    await pipeline.publish(*coats("A", 4))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 4)
        async with pipeline.consuming(painters):
            assert await pipeline.wait_for_effects(3) == [("A", 0), ("A", 2), ("A", 3)]
    (record,) = await asyncio.to_thread(pipeline.dead_letters, 1)
    assert orjson.loads(record.value())["coat"] == 1
    assert await asyncio.to_thread(pipeline.committed) == 4
    (row,) = await dead_letter_rows(pipeline.database)
    assert (row.message["payload"]["coat"], row.attempts) == (1, 2)


async def test_poison_whose_dead_letter_cannot_be_stored_is_not_acknowledged(
    pipeline: Pipeline, owner: Database
) -> None:
    pipeline.before_paint = choke
    await run(owner, BREAK)
    await pipeline.publish(*coats("A", 3))
    async with pipeline.relaying(), pipeline.consuming():
        assert len(await asyncio.to_thread(pipeline.dead_letters, 1)) == 1
        await asyncio.sleep(1)
    assert await pipeline.effects() == [("A", 0)]
    assert await asyncio.to_thread(pipeline.committed) == 1

    await run(owner, MEND)
    async with pipeline.consuming():
        assert await pipeline.wait_for_effects(2) == [("A", 0), ("A", 2)]
    assert [row.message["payload"]["coat"] for row in await dead_letter_rows(pipeline.database)] == [1]


async def test_a_redelivered_poison_message_makes_no_second_dead_letter(pipeline: Pipeline) -> None:
    foreign = ForeignClient(pipeline.settings.kafka_bootstrap_servers)
    await ensure_topics(pipeline.settings.kafka_bootstrap_servers, [pipeline.topic], partitions=3)
    foreign.write(pipeline.topic, Bad("foreign", None, b"\0", without=HEADERS))
    await asyncio.to_thread(foreign.flush)
    pipeline.before_paint = choke
    await pipeline.publish(*coats("A", 2))
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.wait_for_effects(1)
        await wait_for_dead_letters(pipeline, 2)
    await run(pipeline.database, "delete from dead_letters")
    await asyncio.to_thread(pipeline.rewind)
    await pipeline.publish(("A", 2))
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.wait_for_effects(2)
    assert await asyncio.to_thread(pipeline.committed) == 4
    assert await dead_letter_rows(pipeline.database) == []


async def test_a_message_that_json_columns_cannot_store_is_kept_as_bytes(pipeline: Pipeline) -> None:
    foreign = ForeignClient(pipeline.settings.kafka_bootstrap_servers)
    await ensure_topics(pipeline.settings.kafka_bootstrap_servers, [pipeline.topic], partitions=3)
    delivery = Delivery(new_id(), pipeline.topic, "A", 1, datetime.now(UTC), None, {"seat": "\0"}, "", "", "")
    record = record_of(encoded_rows.encode(delivery))
    headers = {name: value.encode() for name, value in dict(record.headers).items()}
    foreign.write(pipeline.topic, Bad("foreign", str(record.value).encode(), headers=headers))
    await asyncio.to_thread(foreign.flush)
    async with pipeline.consuming():
        (row,) = await wait_for_dead_letters(pipeline, 1)
    assert base64.b64decode(row.message["value"]) == b'{"seat":"\\u0000"}'


async def test_a_deleted_topic_of_dead_letters_is_created_again(pipeline: Pipeline) -> None:
    pipeline.before_paint = choke
    await pipeline.publish(("A", 0))
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.wait_for_effects(1)
        admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
        name = pipeline.topic + DEAD_LETTER_SUFFIX
        await asyncio.to_thread(admin.delete_topics([name])[name].result, 20)
        await pipeline.publish(("A", 1), ("A", 2))
        assert await pipeline.wait_for_effects(2) == [("A", 0), ("A", 2)]
        (record,) = await asyncio.to_thread(pipeline.dead_letters, 1)
    assert orjson.loads(record.value())["coat"] == 1
    assert len(await dead_letter_rows(pipeline.database)) == 1


async def test_a_dead_letter_whose_copy_the_broker_rejects_in_every_form_is_kept_in_the_table_alone(
    pipeline: Pipeline,
) -> None:
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
    name = pipeline.topic + DEAD_LETTER_SUFFIX
    made = admin.create_topics([NewTopic(name, 1, 1, config={"max.message.bytes": "10"})])
    await asyncio.to_thread(made[name].result, 20)
    pipeline.before_paint = choke
    await pipeline.publish(*coats("A", 3))
    async with pipeline.relaying(), pipeline.consuming():
        assert await pipeline.wait_for_effects(2) == [("A", 0), ("A", 2)]
    (row,) = await dead_letter_rows(pipeline.database)
    assert row.message["payload"]["coat"] == 1
    assert await asyncio.to_thread(pipeline.committed) == 3
