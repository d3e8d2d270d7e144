"""What is given up over Kafka is on `<topic>.dlq` and in the table, and is not acknowledged before it is both."""

import asyncio
import base64
import time
from datetime import UTC, datetime

import orjson
import pytest
from sqlalchemy import select

from tests.infra.kafka.kafka_line import ORGANIZATION, BatchPainters, Line, SeatPainted, coats
from tests.support.kafka_broker import free_ports
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.db import Database, new_id
from ticketing.infra.kafka import Record, ensure_topics
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.kafka.records import record_of
from ticketing.infra.outbox import Delivery, encoded_rows

pytestmark = pytest.mark.kafka

#: The server says that it can't, as one does that is starting up.
BREAK = """
create function refuse_letters() returns trigger language plpgsql as $$
begin raise exception 'not now' using errcode = '57P03'; end $$;
create trigger refuse_letters before insert on dead_letters for each row execute function refuse_letters();"""
MEND = "drop function refuse_letters() cascade"


async def choke(message: SeatPainted) -> None:
    if message.coat == 1:
        raise RuntimeError("this coat does not dry")


async def letters(database: Database) -> list[DeadLetter]:
    async with database.transaction() as session:
        return list(await session.scalars(select(DeadLetter).order_by(DeadLetter.id)))


async def run(database: Database, statements: str) -> None:
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(statements)


async def until_letters(line: Line, count: int) -> list[DeadLetter]:
    end = time.monotonic() + 60
    while len(found := await letters(line.database)) < count:
        assert time.monotonic() < end, f"{len(found)} of {count} letters"
        await asyncio.sleep(0.05)
    return found


async def test_poison_goes_to_the_dead_letters_and_its_neighbours_go_through(line: Line) -> None:
    line.before_paint = choke
    await line.tell(*coats("A", 3))
    async with line.relaying(), line.consuming():
        assert await line.until_effects(2) == [("A", 0), ("A", 2)]
        (letter,) = await asyncio.to_thread(line.dead_letters, 1)
    headers = {name: value.decode() for name, value in letter.headers()}
    assert orjson.loads(letter.value())["coat"] == 1
    assert letter.key() == b"A"
    assert "this coat does not dry" in headers["dlq_error"]
    assert headers["dlq_attempts"] == "2"
    assert headers["dlq_group"] == line.group.name
    assert (headers["dlq_topic"], headers["dlq_offset"]) == (line.topic, "1")
    assert headers["dlq_partition"].isdigit()
    assert headers.keys() >= {"message_id", "occurred_at", "organization_id", "correlation_id"}
    (row,) = await letters(line.database)
    assert (row.consumer, row.topic, row.key, row.attempts) == (line.group.name, line.topic, "A", 2)
    assert row.origin == f"{line.topic}/{headers['dlq_partition']}/1"
    assert (str(row.message_id), row.organization_id) == (headers["message_id"], ORGANIZATION)
    assert row.message["payload"]["coat"] == 1
    assert "this coat does not dry" in row.error
    assert await asyncio.to_thread(line.committed) == 3


async def test_a_record_that_is_not_ours_is_a_dead_letter_and_stops_nobody(line: Line) -> None:
    stranger = KafkaProducer(line.settings.kafka_bootstrap_servers, "stranger")
    await ensure_topics(line.settings.kafka_bootstrap_servers, [line.topic], partitions=3)
    await stranger.publish([Record(line.topic, b"A", b"\xff not JSON", [])])
    await stranger.close()
    await line.tell(("A", 1))
    async with line.relaying(), line.consuming():
        assert await line.until_effects(1) == [("A", 1)]
        (letter,) = await asyncio.to_thread(line.dead_letters, 1)
    assert letter.value() == b"\xff not JSON"
    assert b"header 'message_id' is missing" in dict(letter.headers())["dlq_error"]
    (row,) = await letters(line.database)
    assert base64.b64decode(row.message["value"]) == b"\xff not JSON"
    assert (row.organization_id, row.key, row.origin.partition("/")[0]) == (None, "A", line.topic)


async def test_poison_whose_dead_letter_cannot_be_published_is_not_acknowledged(line: Line) -> None:
    line.before_paint = choke
    await line.tell(*coats("A", 3))
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    async with line.relaying(), line.consuming_with_dead_letters_to(nobody):
        await line.until_effects(1)
        await asyncio.sleep(3)
    assert await line.effects() == [("A", 0)]
    assert await asyncio.to_thread(line.committed) == 1

    async with line.consuming():
        assert await line.until_effects(2) == [("A", 0), ("A", 2)]
        assert len(await asyncio.to_thread(line.dead_letters, 1)) == 1
        assert len(await until_letters(line, 1)) == 1


async def test_poison_in_a_batch_goes_to_the_dead_letters_and_its_neighbours_go_through(line: Line) -> None:
    painters = BatchPainters(line.group.name, line.topic, bad=1)
    await line.tell(*coats("A", 4))
    async with line.relaying():
        await asyncio.to_thread(line.records, 4)
        async with line.consuming(painters):
            assert await line.until_effects(3) == [("A", 0), ("A", 2), ("A", 3)]
    (letter,) = await asyncio.to_thread(line.dead_letters, 1)
    assert orjson.loads(letter.value())["coat"] == 1
    assert await asyncio.to_thread(line.committed) == 4
    (row,) = await letters(line.database)
    assert (row.message["payload"]["coat"], row.attempts) == (1, 2)


async def test_poison_that_cannot_be_written_down_is_not_acknowledged(line: Line, owner: Database) -> None:
    line.before_paint = choke
    await run(owner, BREAK)
    await line.tell(*coats("A", 3))
    async with line.relaying(), line.consuming():
        assert len(await asyncio.to_thread(line.dead_letters, 1)) == 1
        await asyncio.sleep(1)
    assert await line.effects() == [("A", 0)]
    assert await asyncio.to_thread(line.committed) == 1

    await run(owner, MEND)
    async with line.consuming():
        assert await line.until_effects(2) == [("A", 0), ("A", 2)]
    assert [row.message["payload"]["coat"] for row in await letters(line.database)] == [1]


async def test_what_is_read_again_is_not_given_up_again(line: Line) -> None:
    stranger = KafkaProducer(line.settings.kafka_bootstrap_servers, "stranger")
    await ensure_topics(line.settings.kafka_bootstrap_servers, [line.topic], partitions=3)
    await stranger.publish([Record(line.topic, b"\0", None, [])])
    await stranger.close()
    line.before_paint = choke
    await line.tell(*coats("A", 2))
    async with line.relaying(), line.consuming():
        await line.until_effects(1)
        await until_letters(line, 2)
    await run(line.database, "delete from dead_letters")
    await asyncio.to_thread(line.rewind)
    await line.tell(("A", 2))
    async with line.relaying(), line.consuming():
        await line.until_effects(2)
    assert await asyncio.to_thread(line.committed) == 4
    assert await letters(line.database) == []


async def test_a_message_that_a_table_cannot_hold_is_kept_as_it_came(line: Line) -> None:
    stranger = KafkaProducer(line.settings.kafka_bootstrap_servers, "stranger")
    await ensure_topics(line.settings.kafka_bootstrap_servers, [line.topic], partitions=3)
    fact = Delivery(new_id(), line.topic, "A", 1, datetime.now(UTC), None, {"seat": "\0"}, "", "", "")
    await stranger.publish([record_of(encoded_rows.encode(fact))])
    await stranger.close()
    async with line.consuming():
        (row,) = await until_letters(line, 1)
    assert base64.b64decode(row.message["value"]) == b'{"seat":"\\u0000"}'
