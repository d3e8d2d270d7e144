"""One record that Kafka will never take does not stop the log, and a topic that is gone is made again."""

import asyncio
import secrets

import orjson
import pytest
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from sqlalchemy import text

from tests.infra.kafka.kafka_line import Line
from tests.support.platform import eventually

pytestmark = pytest.mark.kafka


async def make_topic(line: Line, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": line.settings.kafka_bootstrap_servers})
    made = admin.create_topics([NewTopic(line.topic, line.settings.kafka_partitions, 1, config=config)])
    await asyncio.to_thread(made[line.topic].result, 20)


async def letters(line: Line) -> list[tuple[str, str, str]]:
    async with line.database.transaction() as session:
        rows = await session.execute(text("select consumer, key, error from dead_letters order by id"))
        return [(row.consumer, row.key, row.error) for row in rows]


@pytest.mark.parametrize(
    ("characters", "config"),
    # librdkafka refuses the one, the broker the other.
    [(1_200_000, {}), (20_000, {"max.message.bytes": "10000"})],
)
async def test_a_record_that_is_too_large_goes_to_the_dead_letters_and_the_log_goes_on(
    line: Line, characters: int, config: dict[str, str]
) -> None:
    await make_topic(line, **config)
    large = secrets.token_hex(characters // 2)
    await line.tell(("A", 0), ("B", 0), ("A", 1), (large, 0), ("A", 2), ("B", 1))
    async with line.relaying():
        (letter,) = await eventually(lambda: letters(line))
        assert letter[:2] == ("relay", large)
        assert "MSG_SIZE_TOO_LARGE" in letter[2]
        await line.tell(("A", 3))

        async def have_arrived() -> list[KafkaMessage]:
            found = await asyncio.to_thread(line.all_records)
            return found if len({dict(record.headers())["message_id"] for record in found}) >= 6 else []

        records = await eventually(have_arrived)
    seen: dict[bytes, str] = {}
    for record in records:
        fact = orjson.loads(record.value())
        seen.setdefault(dict(record.headers())["message_id"], f"{fact['seat']}{fact['coat']}")
    firsts = [*seen.values()]
    assert sorted(firsts) == ["A0", "A1", "A2", "A3", "B0", "B1"]
    assert [one for one in firsts if one[0] == "A"] == ["A0", "A1", "A2", "A3"]


async def test_a_topic_that_is_deleted_under_the_relay_is_made_again_and_what_waited_arrives(line: Line) -> None:
    await line.tell(("A", 0))
    async with line.relaying():
        assert len(await asyncio.to_thread(line.records, 1)) == 1
        admin = AdminClient({"bootstrap.servers": line.settings.kafka_bootstrap_servers})
        await asyncio.to_thread(admin.delete_topics([line.topic])[line.topic].result, 20)
        await line.tell(("A", 1))

        async def has_arrived() -> bool:
            # The first one may come again, or be there still: a topic is not gone the moment that the broker says so.
            found = await asyncio.to_thread(line.records, 2, seconds=1)
            return any(orjson.loads(record.value())["coat"] == 1 for record in found)

        await eventually(has_arrived)
