"""Members of a group come, go, wait and are thrown out: order holds, effects are single, and nobody holds up others."""

import asyncio
import random
import time

import pytest
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from tests.infra.kafka.kafka_line import Line, SeatPainted, coats
from tests.infra.kafka.test_delivery import by_seat
from ticketing.infra import bus, metrics
from ticketing.infra.kafka import partition_queues
from ticketing.infra.kafka.membership import Member, Partition

pytestmark = pytest.mark.kafka

SEATS = "ABCDEFGHIJKL"
#: As short as a broker allows.
SHORT_PATIENCE = {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000, "heartbeat.interval.ms": 500}
#: Nobody is thrown out, however slow the machine; and who leaves without a word is waited for until the test is over.
LONG_PATIENCE = {"session.timeout.ms": 45_000, "heartbeat.interval.ms": 500}


def members_of(line: Line) -> set[str]:
    """Who the broker thinks is in the group. Blocks."""
    admin = AdminClient({"bootstrap.servers": line.settings.kafka_bootstrap_servers})
    found = admin.describe_consumer_groups([line.group.name])[line.group.name].result(20)
    return {member.member_id for member in found.members}


async def until_members(line: Line, count: int) -> None:
    async with asyncio.timeout(120):
        while len(await asyncio.to_thread(members_of, line)) != count:  # noqa: ASYNC110 (the broker is asked)
            await asyncio.sleep(0.1)


async def redelivered(line: Line, facts: int) -> float:
    """How many messages came that had been done, but for those that a relay on a busy machine has published twice."""
    seen = metrics.CONSUMED.labels(line.group.name, line.topic, "seen")._value.get()
    return seen and seen - (len(await asyncio.to_thread(line.all_records)) - facts)


async def test_a_lane_that_waits_holds_up_no_other_partition(line: Line) -> None:
    release = asyncio.Event()

    async def wait_for_a(message: SeatPainted) -> None:
        if message.seat == "A" and not release.is_set():
            raise bus.Retry("not yet")

    line.before_paint = wait_for_a
    await line.tell(*coats(SEATS, 2))
    async with line.relaying():
        where: dict[str, int] = {}
        await asyncio.to_thread(line.records, 2 * len(SEATS))
        while len(where) < len(SEATS):
            # A relay on a busy machine may have published some of them twice.
            records = await asyncio.to_thread(line.all_records)
            where |= {record.key().decode(): record.partition() for record in records}
        others = [seat for seat in SEATS if where[seat] != where["A"]]
        assert others
        async with line.consuming():
            found = await line.until_effects(2 * len(others))
            assert set(others) <= {seat for seat, _ in found}
            # They go on: also what comes while it waits.
            await line.tell(*[(seat, 2) for seat in others])
            found = await line.until_effects(len(found) + len(others))
            assert ("A", 0) not in found
            release.set()
            await line.until_effects(2 * len(SEATS) + len(others))
    assert by_seat(await line.effects())["A"] == [0, 1]


async def test_a_member_that_waits_longer_than_it_may_be_silent_stays_in_its_group(line: Line) -> None:
    waiting, release = asyncio.Event(), asyncio.Event()

    async def wait(message: SeatPainted) -> None:
        waiting.set()
        if not release.is_set():
            raise bus.Retry("not yet")

    line.before_paint = wait
    await line.tell(*coats("A", 2))
    async with line.relaying(), line.consuming_as(SHORT_PATIENCE):
        await asyncio.wait_for(waiting.wait(), 120)
        before = await asyncio.to_thread(members_of, line)
        await asyncio.sleep(9)
        assert await asyncio.to_thread(members_of, line) == before
        release.set()
        assert await line.until_effects(2) == coats("A", 2)
    assert await asyncio.to_thread(line.committed) == 2


async def test_a_member_that_was_thrown_out_commits_nothing(line: Line) -> None:
    await line.tell(*coats("A", 3))
    async with line.relaying():
        await asyncio.to_thread(line.records, 3)
    told: list[tuple[set[Partition], bool]] = []

    def be_silent_and_come_back() -> None:
        member = Member(
            line.settings.kafka_bootstrap_servers, line.group.name, lambda *what: told.append(what), SHORT_PATIENCE
        )
        member.join([line.topic])
        messages: list[KafkaMessage] = []
        while len(messages) < 3:
            messages += member.fetch(0.5, lambda _: False)
        time.sleep(8)
        for message in messages:
            member.mark_processed(message)
        while not told:
            member.fetch(0.5, lambda _: False)
        member.mark_processed(messages[-1])
        member.leave()

    await asyncio.wait_for(asyncio.to_thread(be_silent_and_come_back), 120)
    assert told[0][1] is False
    assert await asyncio.to_thread(line.committed) == 0


async def test_members_that_come_and_go_under_load_keep_the_order_and_do_nothing_twice(line: Line) -> None:
    """Some leave while the group still makes room for them. Only who is thrown out may leave work to be done again."""
    told, enough = 0, asyncio.Event()

    async def tell_on() -> None:
        nonlocal told
        while not enough.is_set():
            await line.tell(*[(seat, told) for seat in SEATS])
            told += 1
            await asyncio.sleep(0.1)  # not faster than members on a busy machine can do it

    async def dawdle(_: SeatPainted) -> None:
        await asyncio.sleep(random.uniform(0, 0.01))

    line.before_paint = dawdle
    async with line.relaying(), line.consuming_as(LONG_PATIENCE):
        telling = asyncio.create_task(tell_on())
        await line.until_effects(len(SEATS))
        for _ in range(4):
            async with line.consuming_as(LONG_PATIENCE):
                await until_members(line, 2)
                await line.until_effects(len(await line.effects()) + 5 * len(SEATS))
            await until_members(line, 1)
        enough.set()
        await telling
        effects = await line.until_effects(len(SEATS) * told, seconds=120)
    assert by_seat(effects) == {seat: list(range(told)) for seat in SEATS}
    assert await redelivered(line, len(effects)) == 0, "a partition was handed over before its lane had come to rest"


async def test_a_member_that_leaves_hands_over_where_it_is(line: Line) -> None:
    handled = 0

    async def tire(_: SeatPainted) -> None:
        nonlocal handled
        handled += 1
        await asyncio.sleep(0.2 if handled > 30 else 0)

    line.before_paint = tire
    facts = 20 * len(SEATS)
    await line.tell(*coats(SEATS, 20))
    async with line.relaying():
        await asyncio.to_thread(line.records, facts)
        async with line.consuming():
            await line.until_effects(30)
        done = len(await line.effects())
        assert done < facts, "it had something left to hand over"
        assert await asyncio.to_thread(line.committed) >= done
        line.before_paint = None
        async with line.consuming():
            effects = await line.until_effects(facts)
    assert by_seat(effects) == {seat: list(range(20)) for seat in SEATS}
    assert await redelivered(line, facts) == 0


async def test_a_lane_that_is_full_is_fed_again_when_it_is_not(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_queues, "FULL_MESSAGES", 5)
    monkeypatch.setattr(partition_queues, "LOW_MESSAGES", 2)

    async def slowly(_: SeatPainted) -> None:
        await asyncio.sleep(0.005)

    line.before_paint = slowly
    await line.tell(*coats("AB", 60))
    async with line.relaying(), line.consuming():
        effects = await line.until_effects(60)
        await line.tell(*[(seat, coat) for seat, coat in coats("AB", 120) if coat >= 60])
        effects = await line.until_effects(240)
    assert by_seat(effects) == {seat: list(range(120)) for seat in "AB"}


async def test_a_version_that_is_unknown_goes_to_the_dead_letters_at_once(line: Line) -> None:
    newer = type("Newer", (line.message,), {"schema_version": 2})
    await line.tell(("A", 0))
    async with line.database.transaction() as session:
        line.publish(session, newer, "A", 1)
    await line.tell(("A", 2))
    async with line.relaying(), line.consuming():
        assert await line.until_effects(2) == [("A", 0), ("A", 2)]
        (letter,) = await asyncio.to_thread(line.dead_letters, 1)
    headers = {name: value.decode() for name, value in letter.headers()}
    assert headers["dlq_attempts"] == "1"
    assert "has schema version 2, and 1 is the newest known here" in headers["dlq_error"]
