"""Members of a group join, leave, retry and are evicted: order is kept, effects happen once, others are not blocked."""

import asyncio
import random
import time

import pytest
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from tests.infra.kafka.pipeline import Pipeline, SeatPainted, coats
from tests.infra.kafka.test_delivery import by_seat
from ticketing.infra import bus, metrics
from ticketing.infra.kafka import partition_queues
from ticketing.infra.kafka.membership import Member, Partition

pytestmark = pytest.mark.kafka

SEATS = "ABCDEFGHIJKL"
#: The shortest session that the broker allows.
SHORT_SESSION = {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000, "heartbeat.interval.ms": 500}
#: No member is evicted, however slow the machine; one that left without telling the group would block the test.
LONG_SESSION = {"session.timeout.ms": 45_000, "heartbeat.interval.ms": 500}


def members_of(pipeline: Pipeline) -> set[str]:
    """The members of the group, according to the broker. Blocking."""
    admin = AdminClient({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
    found = admin.describe_consumer_groups([pipeline.group.name])[pipeline.group.name].result(20)
    return {member.member_id for member in found.members}


async def until_members(pipeline: Pipeline, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await asyncio.to_thread(members_of, pipeline)) != count:  # noqa: ASYNC110 (polls the broker)
            await asyncio.sleep(0.1)


async def redelivered(pipeline: Pipeline, count: int) -> float:
    """How many messages came that had been done, but for those that a relay on a busy machine has published twice."""
    seen = metrics.CONSUMED.labels(pipeline.group.name, pipeline.topic, "seen")._value.get()
    return seen and seen - (len(await asyncio.to_thread(pipeline.all_records)) - count)


async def test_a_partition_that_retries_does_not_block_the_others(pipeline: Pipeline) -> None:
    release = asyncio.Event()

    async def wait_for_a(message: SeatPainted) -> None:
        if message.seat == "A" and not release.is_set():
            raise bus.Retry("not yet")

    pipeline.before_paint = wait_for_a
    await pipeline.publish(*coats(SEATS, 2))
    async with pipeline.relaying():
        where: dict[str, int] = {}
        await asyncio.to_thread(pipeline.records, 2 * len(SEATS))
        while len(where) < len(SEATS):
            # A relay on a busy machine may have published some of them twice.
            records = await asyncio.to_thread(pipeline.all_records)
            where |= {record.key().decode(): record.partition() for record in records}
        others = [seat for seat in SEATS if where[seat] != where["A"]]
        assert others
        async with pipeline.consuming():
            found = await pipeline.wait_for_effects(2 * len(others))
            assert set(others) <= {seat for seat, _ in found}
            # The others continue, also with messages published meanwhile.
            await pipeline.publish(*[(seat, 2) for seat in others])
            found = await pipeline.wait_for_effects(len(found) + len(others))
            assert ("A", 0) not in found
            release.set()
            await pipeline.wait_for_effects(2 * len(SEATS) + len(others))
    assert by_seat(await pipeline.effects())["A"] == [0, 1]


async def test_a_member_that_retries_for_long_stays_in_its_group(pipeline: Pipeline) -> None:
    waiting, release = asyncio.Event(), asyncio.Event()

    async def wait(message: SeatPainted) -> None:
        waiting.set()
        if not release.is_set():
            raise bus.Retry("not yet")

    pipeline.before_paint = wait
    await pipeline.publish(*coats("A", 2))
    async with pipeline.relaying(), pipeline.consuming_with_client(SHORT_SESSION):
        await asyncio.wait_for(waiting.wait(), 120)
        before = await asyncio.to_thread(members_of, pipeline)
        await asyncio.sleep(9)
        assert await asyncio.to_thread(members_of, pipeline) == before
        release.set()
        assert await pipeline.wait_for_effects(2) == coats("A", 2)
    assert await asyncio.to_thread(pipeline.committed) == 2


async def test_an_evicted_member_commits_nothing(pipeline: Pipeline) -> None:
    await pipeline.publish(*coats("A", 3))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, 3)
    revoked: list[tuple[set[Partition], bool]] = []

    def time_out_and_return() -> None:
        member = Member(
            pipeline.settings.kafka_bootstrap_servers,
            pipeline.group.name,
            lambda *call: revoked.append(call),
            SHORT_SESSION,
        )
        member.join([pipeline.topic])
        messages: list[KafkaMessage] = []
        while len(messages) < 3:
            messages += member.fetch(0.5, lambda _: False)
        time.sleep(8)
        for message in messages:
            member.mark_processed(message)
        while not revoked:
            member.fetch(0.5, lambda _: False)
        member.mark_processed(messages[-1])
        member.leave()

    await asyncio.wait_for(asyncio.to_thread(time_out_and_return), 120)
    assert revoked[0][1] is False
    assert await asyncio.to_thread(pipeline.committed) == 0


async def test_rebalances_under_load_keep_the_order_and_repeat_nothing(pipeline: Pipeline) -> None:
    """Some members leave during the rebalance for them. Only an evicted member may leave messages to repeat."""
    rounds, enough = 0, asyncio.Event()

    async def keep_publishing() -> None:
        nonlocal rounds
        while not enough.is_set():
            await pipeline.publish(*[(seat, rounds) for seat in SEATS])
            rounds += 1
            await asyncio.sleep(0.1)  # slow enough for members on a busy machine

    async def dawdle(_: SeatPainted) -> None:
        await asyncio.sleep(random.uniform(0, 0.01))

    pipeline.before_paint = dawdle
    async with pipeline.relaying(), pipeline.consuming_with_client(LONG_SESSION):
        telling = asyncio.create_task(keep_publishing())
        await pipeline.wait_for_effects(len(SEATS))
        for _ in range(4):
            async with pipeline.consuming_with_client(LONG_SESSION):
                await until_members(pipeline, 2)
                await pipeline.wait_for_effects(len(await pipeline.effects()) + 5 * len(SEATS))
            await until_members(pipeline, 1)
        enough.set()
        await telling
        effects = await pipeline.wait_for_effects(len(SEATS) * rounds, seconds=120)
    assert by_seat(effects) == {seat: list(range(rounds)) for seat in SEATS}
    assert await redelivered(pipeline, len(effects)) == 0, "a partition was handed over while its queue was processing"


async def test_a_leaving_member_commits_its_exact_position(pipeline: Pipeline) -> None:
    handled = 0

    async def tire(_: SeatPainted) -> None:
        nonlocal handled
        handled += 1
        await asyncio.sleep(0.2 if handled > 30 else 0)

    pipeline.before_paint = tire
    count = 20 * len(SEATS)
    await pipeline.publish(*coats(SEATS, 20))
    async with pipeline.relaying():
        await asyncio.to_thread(pipeline.records, count)
        async with pipeline.consuming():
            await pipeline.wait_for_effects(30)
        done = len(await pipeline.effects())
        assert done < count, "messages were left to hand over"
        assert await asyncio.to_thread(pipeline.committed) >= done
        pipeline.before_paint = None
        async with pipeline.consuming():
            effects = await pipeline.wait_for_effects(count)
    assert by_seat(effects) == {seat: list(range(20)) for seat in SEATS}
    assert await redelivered(pipeline, count) == 0


async def test_a_full_queue_is_filled_again_once_it_has_room(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_queues, "FULL_MESSAGES", 5)
    monkeypatch.setattr(partition_queues, "LOW_MESSAGES", 2)

    async def slowly(_: SeatPainted) -> None:
        await asyncio.sleep(0.005)

    pipeline.before_paint = slowly
    await pipeline.publish(*coats("AB", 60))
    async with pipeline.relaying(), pipeline.consuming():
        effects = await pipeline.wait_for_effects(60)
        await pipeline.publish(*[(seat, coat) for seat, coat in coats("AB", 120) if coat >= 60])
        effects = await pipeline.wait_for_effects(240)
    assert by_seat(effects) == {seat: list(range(120)) for seat in "AB"}


async def test_an_unknown_schema_version_becomes_a_dead_letter_at_once(pipeline: Pipeline) -> None:
    newer = type("Newer", (pipeline.message,), {"schema_version": 2})
    await pipeline.publish(("A", 0))
    async with pipeline.database.transaction() as session:
        pipeline.append(session, newer, "A", 1)
    await pipeline.publish(("A", 2))
    async with pipeline.relaying(), pipeline.consuming():
        assert await pipeline.wait_for_effects(2) == [("A", 0), ("A", 2)]
        (dead_letter,) = await asyncio.to_thread(pipeline.dead_letters, 1)
    headers = {name: value.decode() for name, value in dead_letter.headers()}
    assert headers["dlq_attempts"] == "1"
    assert "has schema version 2, and 1 is the newest known here" in headers["dlq_error"]
