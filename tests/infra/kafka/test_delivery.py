"""Facts go from the outbox over a real broker to their effects: in order, once, and whatever falls over on the way."""

import asyncio
from contextlib import AsyncExitStack
from itertools import groupby
from uuid import UUID

import orjson
import pytest
from confluent_kafka.admin import AdminClient

from tests.infra.kafka.kafka_line import ORGANIZATION, BatchPainters, Line, SeatPainted, coats
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
    # Stable: what came first for a seat stays first.
    return sorted(effects, key=lambda effect: effect[0])


async def test_topics_are_ensured_with_their_dead_letters_and_a_second_time_is_no_error(
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


async def test_topics_are_not_waited_for_longer_than_asked() -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(KafkaUnavailable):
        await asyncio.wait_for(ensure_topics(nobody, ["ensured.never"], timeout_seconds=1), 10)


async def test_the_relay_ensures_the_topic_of_every_message_that_there_is(line: Line) -> None:
    await line.tell(("A", 1))
    async with line.relaying():
        await asyncio.to_thread(line.records, 1)
    admin = AdminClient({"bootstrap.servers": line.settings.kafka_bootstrap_servers})
    found = (await asyncio.to_thread(admin.list_topics, timeout=20)).topics.keys()
    assert set(known_topics()) >= {line.topic, "order.paid", "payment.succeeded"}
    assert found >= {name + suffix for name in known_topics() for suffix in ("", ".dlq")}


async def test_the_relay_publishes_the_log_in_order_for_each_key(line: Line) -> None:
    await line.tell(*coats("ABC", 10))
    async with line.relaying():
        records = await asyncio.to_thread(line.records, 30)
    told = [(orjson.loads(record.value())["seat"], orjson.loads(record.value())["coat"]) for record in records]
    assert by_seat(told) == {seat: list(range(10)) for seat in "ABC"}
    assert all(record.key().decode() == seat for record, (seat, _) in zip(records, told, strict=True))


async def test_a_record_carries_who_when_and_why_in_its_headers(line: Line) -> None:
    await line.tell(("A", 1))
    async with line.relaying():
        (record,) = await asyncio.to_thread(line.records, 1)
    headers = {name: value.decode() for name, value in record.headers()}
    assert UUID(headers["message_id"]).version == 7
    assert headers["organization_id"] == str(ORGANIZATION)
    assert headers["schema_version"] == "1"
    assert headers.keys() >= {"occurred_at", "correlation_id", "traceparent", "actor"}


async def test_a_relay_that_starts_again_goes_on_behind_what_it_has_published(line: Line) -> None:
    await line.tell(*coats("A", 5))
    async with line.relaying():
        await asyncio.to_thread(line.records, 5)
    await line.tell(("B", 0))
    async with line.relaying():
        records = await asyncio.to_thread(line.records, 6)
        assert len(records) == 6
        # A seventh would be one that was published twice.
        assert len(await asyncio.to_thread(line.records, 7, seconds=2)) == 6


async def test_of_two_relays_one_works_and_the_other_takes_over_when_it_ends(line: Line) -> None:
    first, second = AsyncExitStack(), AsyncExitStack()
    await first.enter_async_context(line.relaying())
    await line.tell(*coats("A", 3))
    assert len(await asyncio.to_thread(line.records, 3)) == 3
    await second.enter_async_context(line.relaying())
    await line.tell(*coats("B", 3))
    assert len(await asyncio.to_thread(line.records, 6)) == 6
    assert len(await asyncio.to_thread(line.records, 7, seconds=2)) == 6

    await first.aclose()
    await line.tell(*coats("C", 3))
    assert len(await asyncio.to_thread(line.records, 9)) == 9
    assert len(await asyncio.to_thread(line.records, 10, seconds=2)) == 9
    await second.aclose()


async def test_a_relay_that_was_paused_and_wakes_up_publishes_nothing(line: Line) -> None:
    await ensure_topics(line.settings.kafka_bootstrap_servers, [line.topic], partitions=3)
    paused, successor = (LogReader(line.database, READER, owner) for owner in ("paused", "successor"))
    assert await paused.acquire()
    await line.let_lease_run_out()
    assert await successor.acquire()
    await line.tell(("A", 1))

    producer = KafkaProducer(line.settings.kafka_bootstrap_servers, "paused")
    with pytest.raises(LeaseLost):
        await Relay(line.settings, paused, producer, asyncio.Event(), asyncio.Event()).relay_pages()
    await producer.close()
    assert await asyncio.to_thread(line.records, 1, seconds=1) == []
    assert [delivery.key for delivery in await successor.read()] == ["A"]


async def test_effects_happen_in_order_and_offsets_follow(line: Line) -> None:
    await line.tell(*coats("ABCD", 10))
    async with line.relaying(), line.consuming():
        effects = await line.until_effects(40)
    assert by_seat(effects) == {seat: list(range(10)) for seat in "ABCD"}
    assert await asyncio.to_thread(line.committed) == 40


async def test_a_redelivered_message_has_no_second_effect(line: Line) -> None:
    await line.tell(*coats("AB", 5))
    async with line.relaying(), line.consuming():
        await line.until_effects(10)
    await asyncio.to_thread(line.rewind)
    assert await asyncio.to_thread(line.committed) == 0

    await line.tell(("Z", 99))
    async with line.relaying(), line.consuming():
        await line.until_effects(11)
    assert sorted(await line.effects()) == sorted([*coats("AB", 5), ("Z", 99)])
    assert await asyncio.to_thread(line.committed) == 11


async def test_a_new_group_starts_with_what_came_before_it(line: Line) -> None:
    await line.tell(("A", 1))
    async with line.relaying():
        await asyncio.to_thread(line.records, 1)
    async with line.consuming():
        assert await line.until_effects(1) == [("A", 1)]


async def test_a_message_that_waits_for_an_outage_keeps_its_place(line: Line) -> None:
    failures = iter(range(3))

    async def blink(message: SeatPainted) -> None:
        if message.coat == 1 and next(failures, None) is not None:
            raise bus.Retry("the thing that this needs is away")

    line.before_paint = blink
    await line.tell(*coats("A", 4))
    async with line.relaying(), line.consuming():
        # Three failures are more than the two attempts that poison gets: an outage is not the message's fault.
        assert await line.until_effects(4) == coats("A", 4)


async def test_a_group_that_takes_many_at_once_gets_them_so(line: Line) -> None:
    painters = BatchPainters(line.group.name, line.topic)
    await line.tell(*coats("ABC", 20))
    async with line.relaying():
        await asyncio.to_thread(line.records, 60)
        async with line.consuming(painters):
            await line.until_effects(60)
    assert by_seat(await line.effects()) == {seat: list(range(20)) for seat in "ABC"}
    assert max(painters.sizes) > 1
    assert await asyncio.to_thread(line.committed) == 60


async def test_a_member_that_waits_in_place_does_not_hold_up_its_group(line: Line) -> None:
    stuck, release = asyncio.Event(), asyncio.Event()

    async def wait_at_the_first(message: SeatPainted) -> None:
        if message.coat == 0 and not release.is_set():
            stuck.set()
            raise bus.Retry("not yet")

    line.before_paint = wait_at_the_first
    await line.tell(("A", 0))
    async with line.relaying(), line.consuming():
        await asyncio.wait_for(stuck.wait(), 120)
        async with line.consuming():
            # The second member gets partitions, for the first one answers the group while it waits.
            await line.tell(*[(seat, 1) for seat in "BCDEFGHIJKLM"])
            found = await line.until_effects(1)
            assert ("A", 0) not in found
            release.set()
            await line.until_effects(13)
    assert sorted(await line.effects()) == sorted([("A", 0), *[(seat, 1) for seat in "BCDEFGHIJKLM"]])


async def test_a_broker_that_dies_in_the_middle_loses_nothing(line: Line, kafka_broker: KafkaBroker) -> None:
    async with line.relaying(), line.consuming():
        await line.tell(*coats("ABC", 20))
        await line.until_effects(10)
        kafka_broker.kill()
        await line.tell(*[(seat, coat) for seat, coat in coats("ABC", 40) if coat >= 20])
        kafka_broker.spawn()
        await asyncio.to_thread(kafka_broker.wait_until_ready)
        effects = await line.until_effects(120)
    assert by_seat(effects) == {seat: list(range(40)) for seat in "ABC"}
