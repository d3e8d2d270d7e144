"""A part of the log is published again: in order, with the same ids, which consumers recognize."""

import asyncio

import pytest
from sqlalchemy import func

from tests.infra.kafka.pipeline import Pipeline, coats
from ticketing.cli.actions import outbox_replay
from ticketing.infra.bus import Poison, dead_letters, raw_messages
from ticketing.infra.bus.redelivery import Outcome, redeliver
from ticketing.infra.kafka import ensure_topics
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.outbox.reader import LogReader
from ticketing.workers.relay_redelivery import Republish

pytestmark = pytest.mark.kafka


async def test_a_replayed_message_keeps_its_id_and_has_no_second_effect(
    pipeline: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    since = func.now() - func.make_interval(0, 0, 0, 1)
    await pipeline.publish(*coats("ABC", 4))
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.wait_for_effects(12)
        await outbox_replay.replay(pipeline.settings, pipeline.database, since, [pipeline.topic], None, yes=False)
        assert "12 messages would be published; nothing was changed" in capfd.readouterr().err
        await outbox_replay.replay(pipeline.settings, pipeline.database, since, [pipeline.topic], None, yes=True)
        records = await asyncio.to_thread(pipeline.records, 24)
        await pipeline.publish(("A", 4))
        await pipeline.wait_for_effects(13)
    assert len(await pipeline.effects()) == 13
    for seat in (b"A", b"B", b"C"):
        ids = [dict(each.headers() or [])["message_id"] for each in records if each.key() == seat]
        assert len(ids) == 8
        assert ids[:4] == ids[4:]


async def test_a_replay_without_a_broker_fails_with_a_message(
    pipeline: Pipeline, capfd: pytest.CaptureFixture[str]
) -> None:
    await pipeline.publish(("A", 0))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 1)
    away = pipeline.settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    since = func.now() - func.make_interval(0, 0, 0, 1)
    with pytest.raises(BaseException, match="1"):
        await outbox_replay.replay(away, pipeline.database, since, [pipeline.topic], None, yes=True)
    assert "repeat the command" in capfd.readouterr().err


async def test_a_rejected_record_is_published_when_its_dead_letter_is_replayed(pipeline: Pipeline) -> None:
    await pipeline.publish(("A", 0))
    reader = LogReader(pipeline.database, "tests", "test")
    assert await reader.acquire()
    (row,) = await reader.read_page()
    message = raw_messages.from_row(row)
    await dead_letters.store(pipeline.database, "relay", message, Poison(ValueError("too large"), 1))
    producer = KafkaProducer(pipeline.settings.kafka_bootstrap_servers, "replay")
    await ensure_topics(pipeline.settings.kafka_bootstrap_servers, [pipeline.topic], partitions=3)
    try:
        outcome, _ = await redeliver(pipeline.database, {"relay": Republish(producer)}, 1)
    finally:
        await producer.close()
    assert outcome == Outcome.DONE
    (record,) = await asyncio.to_thread(pipeline.records, 1)
    assert dict(record.headers() or [])["message_id"] == str(message.message_id).encode()
