"""A part of the log is published once more: in its order, under its own ids, and our consumers know it."""

import asyncio

import pytest
from sqlalchemy import func

from tests.infra.kafka.kafka_line import Line, coats
from ticketing.cli import outbox_replay
from ticketing.infra.bus import Poison, dead_letters
from ticketing.infra.bus.redelivery import Outcome, redeliver
from ticketing.infra.kafka import ensure_topics
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.outbox.reader import LogReader
from ticketing.workers.relay_redelivery import Republish

pytestmark = pytest.mark.kafka


async def test_what_is_published_again_is_the_same_and_has_no_second_effect(
    line: Line, capfd: pytest.CaptureFixture[str]
) -> None:
    since = func.now() - func.make_interval(0, 0, 0, 1)
    await line.tell(*coats("ABC", 4))
    async with line.relaying(), line.consuming():
        await line.until_effects(12)
        await outbox_replay.replay(line.settings, line.database, since, [line.topic], None, yes=False)
        assert "12 messages would be published; nothing was changed" in capfd.readouterr().err
        await outbox_replay.replay(line.settings, line.database, since, [line.topic], None, yes=True)
        records = await asyncio.to_thread(line.records, 24)
        await line.tell(("A", 4))
        await line.until_effects(13)
    assert len(await line.effects()) == 13
    for seat in (b"A", b"B", b"C"):
        ids = [dict(each.headers() or [])["message_id"] for each in records if each.key() == seat]
        assert len(ids) == 8
        assert ids[:4] == ids[4:]


async def test_a_broker_that_is_away_is_told(line: Line, capfd: pytest.CaptureFixture[str]) -> None:
    await line.tell(("A", 0))
    async with line.relaying():
        await asyncio.to_thread(line.records, 1)
    away = line.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    since = func.now() - func.make_interval(0, 0, 0, 1)
    with pytest.raises(BaseException, match="1"):
        await outbox_replay.replay(away, line.database, since, [line.topic], None, yes=True)
    assert "do it again" in capfd.readouterr().err


async def test_what_the_broker_refused_is_published_when_it_is_replayed(line: Line) -> None:
    await line.tell(("A", 0))
    reader = LogReader(line.database, "somebody", "test")
    assert await reader.acquire()
    (delivery,) = await reader.read()
    refused = Poison(ValueError("too large"), 1)
    await dead_letters.keep(line.database, dead_letters.letter("relay", delivery, refused, "outbox/1"))
    producer = KafkaProducer(line.settings.kafka_bootstrap_servers, "replay")
    await ensure_topics(line.settings.kafka_bootstrap_servers, [line.topic], partitions=3)
    try:
        outcome, _ = await redeliver(line.database, {"relay": Republish(producer)}, 1)
    finally:
        await producer.close()
    assert outcome == Outcome.DONE
    (record,) = await asyncio.to_thread(line.records, 1)
    assert dict(record.headers() or [])["message_id"] == str(delivery.message_id).encode()
