"""Messages go from the outbox through a real broker to their effects: in order and once, also after failures."""

import asyncio
import zlib
from contextlib import AsyncExitStack
from itertools import groupby
from uuid import UUID

import orjson
import pytest
from confluent_kafka.admin import AdminClient

from tests.infra.kafka.pipeline import ORGANIZATION, BatchPainters, Pipeline, SeatPainted, coats
from tests.support.kafka_broker import KafkaBroker, free_ports
from ticketing.infra import bus
from ticketing.infra.kafka import KafkaUnavailable, ensure_topics
from ticketing.infra.kafka.producer import KafkaProducer
from ticketing.infra.outbox import known_topics
from ticketing.infra.outbox.reader import LeaseLost, LogReader
from ticketing.workers.relay import READER, Relay

pytestmark = pytest.mark.kafka


def by_seat(effects: list[tuple[str, int]]) -> dict[str, list[int]]:
    return {seat: [coat for _, coat in group] for seat, group in groupby(sorted_by_seat(effects), lambda e: e[0])}


def sorted_by_seat(effects: list[tuple[str, int]]) -> list[tuple[str, int]]:
    # Stable: the order of each seat is kept.
    return sorted(effects, key=lambda effect: effect[0])


async def test_topics_and_their_dead_letter_topics_are_created_once(
    kafka_broker: KafkaBroker,
) -> None:
    topics = ["ensured.one", "ensured.two"]
    await ensure_topics(kafka_broker.bootstrap, topics, partitions=3)
    await asyncio.gather(*(ensure_topics(kafka_broker.bootstrap, [*topics, "ensured.three"]) for _ in range(3)))

    admin = AdminClient({"bootstrap.servers": kafka_broker.bootstrap})
    found = (await asyncio.to_thread(admin.list_topics, timeout=20)).topics
    assert {name: len(found[name].partitions) for name in topics} == {"ensured.one": 3, "ensured.two": 3}
    assert {f"{name}.dlq" for name in topics} <= found.keys()
    assert len(found["ensured.one.dlq"].partitions) == 1


async def test_creating_topics_times_out_without_a_broker() -> None:
    no_broker = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(KafkaUnavailable):
        await asyncio.wait_for(ensure_topics(no_broker, ["ensured.never"], timeout_seconds=1), 10)


async def test_the_relay_creates_the_topic_of_every_message(pipeline: Pipeline) -> None:
    await pipeline.publish(("A", 1))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 1)
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
    found = (await asyncio.to_thread(admin.list_topics, timeout=20)).topics.keys()
    assert set(known_topics()) >= {pipeline.topic, "order.paid", "payment.succeeded"}
    assert found >= {name + suffix for name in known_topics() for suffix in ("", ".dlq")}


async def test_the_relay_publishes_the_log_in_order_for_each_key(pipeline: Pipeline) -> None:
    await pipeline.publish(*coats("ABC", 10))
    async with pipeline.relaying():
        records = await asyncio.to_thread(pipeline.records, 30)
    published = [(orjson.loads(record.value())["seat"], orjson.loads(record.value())["coat"]) for record in records]
    assert by_seat(published) == {seat: list(range(10)) for seat in "ABC"}
    assert all(record.key().decode() == seat for record, (seat, _) in zip(records, published, strict=True))
    # As docs/messages.md says: other programs may compute the partition of a key.
    partitions = pipeline.settings.kafka_partitions
    assert all(record.partition() == zlib.crc32(record.key()) % partitions for record in records)


async def test_a_record_carries_the_metadata_of_its_message_in_headers(pipeline: Pipeline) -> None:
    await pipeline.publish(("A", 1))
    async with pipeline.relaying():
        (record,) = await asyncio.to_thread(pipeline.records, 1)
    headers = {name: value.decode() for name, value in record.headers()}
    assert UUID(headers["message_id"]).version == 7
    assert headers["organization_id"] == str(ORGANIZATION)
    assert headers["schema_version"] == "1"
    assert headers.keys() >= {"occurred_at", "correlation_id", "traceparent", "actor"}


async def test_a_restarted_relay_continues_after_its_last_record(pipeline: Pipeline) -> None:
    await pipeline.publish(*coats("A", 5))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 5)
    await pipeline.publish(("B", 0))
    async with pipeline.relaying():
        records = await asyncio.to_thread(pipeline.records, 6)
        assert len(records) == 6
        # A seventh record would have been published twice.
        assert len(await asyncio.to_thread(pipeline.records, 7, seconds=2)) == 6


async def test_a_second_relay_takes_over_when_the_first_ends(pipeline: Pipeline) -> None:
    first, second = AsyncExitStack(), AsyncExitStack()
    await first.enter_async_context(pipeline.relaying())
    await pipeline.publish(*coats("A", 3))
    assert len(await asyncio.to_thread(pipeline.records, 3)) == 3
    await second.enter_async_context(pipeline.relaying())
    await pipeline.publish(*coats("B", 3))
    assert len(await asyncio.to_thread(pipeline.records, 6)) == 6
    assert len(await asyncio.to_thread(pipeline.records, 7, seconds=2)) == 6

    await first.aclose()
    await pipeline.publish(*coats("C", 3))
    assert len(await asyncio.to_thread(pipeline.records, 9)) == 9
    assert len(await asyncio.to_thread(pipeline.records, 10, seconds=2)) == 9
    await second.aclose()


async def test_a_paused_relay_publishes_nothing_after_a_takeover(pipeline: Pipeline) -> None:
    await ensure_topics(pipeline.settings.kafka_bootstrap_servers, [pipeline.topic], partitions=3)
    paused, successor = (LogReader(pipeline.database, READER, owner) for owner in ("paused", "successor"))
    assert await paused.acquire()
    await pipeline.expire_lease()
    assert await successor.acquire()
    await pipeline.publish(("A", 1))

    producer = KafkaProducer(pipeline.settings.kafka_bootstrap_servers, "paused")
    with pytest.raises(LeaseLost):
        await Relay(pipeline.settings, paused, producer, asyncio.Event(), asyncio.Event()).relay_pages()
    await producer.close()
    assert await asyncio.to_thread(pipeline.records, 1, seconds=1) == []
    assert [delivery.key for delivery in await successor.read()] == ["A"]


async def test_effects_happen_in_order_and_offsets_are_committed(pipeline: Pipeline) -> None:
    await pipeline.publish(*coats("ABCD", 10))
    async with pipeline.relaying(), pipeline.consuming():
        effects = await pipeline.wait_for_effects(40)
    assert by_seat(effects) == {seat: list(range(10)) for seat in "ABCD"}
    assert await asyncio.to_thread(pipeline.committed) == 40


async def test_a_redelivered_message_has_no_second_effect(pipeline: Pipeline) -> None:
    await pipeline.publish(*coats("AB", 5))
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.wait_for_effects(10)
    await asyncio.to_thread(pipeline.rewind)
    assert await asyncio.to_thread(pipeline.committed) == 0

    await pipeline.publish(("Z", 99))
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.wait_for_effects(11)
    assert sorted(await pipeline.effects()) == sorted([*coats("AB", 5), ("Z", 99)])
    assert await asyncio.to_thread(pipeline.committed) == 11


async def test_a_new_group_starts_at_the_oldest_message(pipeline: Pipeline) -> None:
    await pipeline.publish(("A", 1))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 1)
    async with pipeline.consuming():
        assert await pipeline.wait_for_effects(1) == [("A", 1)]


async def test_a_message_keeps_its_place_during_an_outage(pipeline: Pipeline) -> None:
    failures = iter(range(3))

    async def blink(message: SeatPainted) -> None:
        if message.coat == 1 and next(failures, None) is not None:
            raise bus.Retry("a dependency is unavailable")

    pipeline.before_paint = blink
    await pipeline.publish(*coats("A", 4))
    async with pipeline.relaying(), pipeline.consuming():
        # Three failures are more than the two attempts of a poison message: outages do not count.
        assert await pipeline.wait_for_effects(4) == coats("A", 4)


async def test_a_batch_group_is_given_many_messages_at_once(pipeline: Pipeline) -> None:
    painters = BatchPainters(pipeline.group.name, pipeline.topic)
    await pipeline.publish(*coats("ABC", 20))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 60)
        async with pipeline.consuming(painters):
            await pipeline.wait_for_effects(60)
    assert by_seat(await pipeline.effects()) == {seat: list(range(20)) for seat in "ABC"}
    assert max(painters.sizes) > 1
    assert await asyncio.to_thread(pipeline.committed) == 60


async def test_a_member_that_retries_does_not_block_its_group(pipeline: Pipeline) -> None:
    stuck, release = asyncio.Event(), asyncio.Event()

    async def wait_at_the_first(message: SeatPainted) -> None:
        if message.coat == 0 and not release.is_set():
            stuck.set()
            raise bus.Retry("not yet")

    pipeline.before_paint = wait_at_the_first
    await pipeline.publish(("A", 0))
    async with pipeline.relaying(), pipeline.consuming():
        await asyncio.wait_for(stuck.wait(), 120)
        async with pipeline.consuming():
            # The second member gets partitions, because the first one takes part in the rebalance while it retries.
            await pipeline.publish(*[(seat, 1) for seat in "BCDEFGHIJKLM"])
            found = await pipeline.wait_for_effects(1)
            assert ("A", 0) not in found
            release.set()
            await pipeline.wait_for_effects(13)
    assert sorted(await pipeline.effects()) == sorted([("A", 0), *[(seat, 1) for seat in "BCDEFGHIJKLM"]])


async def test_a_broker_killed_under_load_loses_nothing(pipeline: Pipeline, kafka_broker: KafkaBroker) -> None:
    async with pipeline.relaying(), pipeline.consuming():
        await pipeline.publish(*coats("ABC", 20))
        await pipeline.wait_for_effects(10)
        kafka_broker.kill()
        await pipeline.publish(*[(seat, coat) for seat, coat in coats("ABC", 40) if coat >= 20])
        kafka_broker.spawn()
        await asyncio.to_thread(kafka_broker.wait_until_ready)
        effects = await pipeline.wait_for_effects(120)
    assert by_seat(effects) == {seat: list(range(40)) for seat in "ABC"}
