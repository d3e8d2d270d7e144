"""Batches have the same effects as messages delivered one by one, whatever happens to their neighbours."""

import asyncio
from typing import ClassVar
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.bus.message_fixtures import BellRung, Counter, make_counter, ring, rung
from tests.support.drain import drain_group
from ticketing.infra import log, outbox
from ticketing.infra.bus import Group, InboxRow, Retry, Stopped, batches
from ticketing.infra.bus.batches import Deliverer, GroupBatcher
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery
from ticketing.infra.outbox.reader import LogReader

TRANSACTIONS = "select array_agg(distinct xmin::text) from "


class Echo(outbox.Message):
    """Published by a handler for each bell."""

    topic: ClassVar[str] = "echo.rung_times"
    key_field: ClassVar[str] = "times"
    times: int


@pytest.fixture
async def counter(owner: Database) -> Counter:
    return await make_counter(owner)


@pytest.fixture
def group(counter: Counter) -> Group:
    return Group("ringers", {BellRung: counter})


async def transactions(database: Database, table: str) -> set[str]:
    async with database.transaction() as session:
        return set(await session.scalar(text(TRANSACTIONS + table)) or ())


async def done(database: Database, group: Group) -> int:
    async with database.transaction() as session:
        query = select(InboxRow).where(InboxRow.consumer == group.name)
        return len((await session.scalars(query)).all())


async def page(database: Database) -> list[Delivery]:
    reader = LogReader(database, uuid4().hex, "test", ["bell.rung"])
    assert await reader.acquire()
    return await reader.read()


def deliverer(database: Database, group: Group) -> Deliverer:
    return Deliverer(GroupBatcher(database, group), 3, asyncio.Event())


@pytest.fixture(autouse=True)
def no_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may need longer for a batch than its limit, and most of these tests check the batch's content."""
    monkeypatch.setattr(batches, "BATCH_SECONDS", 60.0)


async def test_a_batch_is_one_transaction_with_its_inbox_rows(database: Database, group: Group) -> None:
    await ring(database, *range(20))
    await drain_group(database, group)
    assert await rung(database) == list(range(20))
    together = await transactions(database, "rung")
    assert len(together) == 1
    assert await transactions(database, "inbox") == together


async def test_a_batch_is_limited_in_size(database: Database, group: Group) -> None:
    await ring(database, *range(group.batch_max * 2 + 1))
    await drain_group(database, group)
    assert await rung(database) == list(range(group.batch_max * 2 + 1))
    assert len(await transactions(database, "rung")) == 3


async def test_a_batch_is_limited_in_time_and_its_remainder_is_not_marked_as_processed(
    database: Database, counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH_SECONDS", 0.02)

    async def slowly(session: AsyncSession, message: BellRung) -> None:
        await counter(session, message)
        await asyncio.sleep(2 * batches.BATCH_SECONDS)

    group = Group("slow", {BellRung: slowly})
    await ring(database, *range(4))
    deliveries = await page(database)
    assert await deliverer(database, group).deliver(deliveries) == 1
    assert (await rung(database), await done(database, group)) == ([0], 1)
    await drain_group(database, group)
    assert (await rung(database), await done(database, group)) == ([0, 1, 2, 3], 4)


async def test_batch_sizes_grow_again_after_a_batch_ran_out_of_time(
    database: Database, group: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ring(database, *range(40))
    one, deliveries = deliverer(database, group), await page(database)
    monkeypatch.setattr(batches, "BATCH_SECONDS", 0.0)
    assert await one.deliver(deliveries) == 1
    monkeypatch.setattr(batches, "BATCH_SECONDS", 60.0)
    sizes = []
    while (done := sum(sizes) + 1) < len(deliveries):
        sizes.append(await one.deliver(deliveries[done:]))
    assert sizes[:6] == [2, 3, 4, 6, 8, 11]
    assert await rung(database) == list(range(40))


async def test_an_effect_and_its_inbox_row_commit_together_in_a_batch(
    database: Database, group: Group, counter: Counter
) -> None:
    counter.fail[3] = [ValueError("after the effect")]
    await ring(database, *range(6))
    await drain_group(database, group)
    assert counter.calls == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5], (
        "the batch was rolled back, and each message delivered alone"
    )
    assert await rung(database) == list(range(6))
    assert await done(database, group) == 6


async def test_poison_in_a_batch_is_identified_and_its_neighbours_are_delivered(
    database: Database, group: Group, counter: Counter
) -> None:
    counter.fail[2] = [ValueError("no such bell")] * 9
    await ring(database, *range(5))
    await drain_group(database, group, attempts_max=3)
    assert await rung(database) == [0, 1, 3, 4]
    async with database.transaction() as session:
        dead_letter = (await session.scalars(select(DeadLetter))).one()
    assert (dead_letter.message["payload"]["times"], dead_letter.attempts) == (2, 3)


async def test_batches_resume_after_a_failed_batch(database: Database, group: Group, counter: Counter) -> None:
    counter.fail[1] = [ValueError("once")]
    await ring(database, *range(4))
    one = deliverer(database, group)
    deliveries = await page(database)
    assert [await one.deliver(deliveries[n:]) for n in range(4)] == [1, 1, 1, 1]
    await ring(database, *range(4, 6))
    assert await one.deliver((await page(database))[4:]) == 2
    assert await rung(database) == list(range(6))


async def test_a_redelivery_among_new_messages_has_no_effect(database: Database, group: Group) -> None:
    await ring(database, 0, 1)
    await drain_group(database, group)
    await ring(database, 2, 3)
    deliveries = await page(database)
    assert len(deliveries) == 4
    mixed = [deliveries[2], deliveries[0], deliveries[3], deliveries[1]]
    assert await deliverer(database, group).deliver(mixed) == 4
    assert await rung(database) == [0, 1, 2, 3]


async def test_one_message_twice_in_a_batch_has_one_effect(database: Database, group: Group) -> None:
    await ring(database, 7, 8)
    first, second = await page(database)
    assert await deliverer(database, group).deliver([first, first, second, first]) == 4
    assert await rung(database) == [7, 8]


async def test_an_outage_in_a_batch_is_retried_in_order(database: Database, group: Group, counter: Counter) -> None:
    counter.fail[1] = [Retry("away")] * 3
    await ring(database, *range(4))
    await drain_group(database, group, attempts_max=1)
    assert await rung(database) == list(range(4))


async def test_messages_of_a_batch_keep_their_own_correlation_ids(database: Database, counter: Counter) -> None:
    async def echo(session: AsyncSession, message: BellRung) -> None:
        await counter(session, message)
        outbox.publish(session, Echo(times=message.times))

    for n in range(5):
        token = log.correlation_id.set(f"request {n}")
        await ring(database, n)
        log.correlation_id.reset(token)
    await drain_group(database, Group("echoes", {BellRung: echo}))
    async with database.transaction() as session:
        query = text("select correlation_id from outbox where topic = 'echo.rung_times' order by id")
        published = list(await session.scalars(query))
    assert published == counter.correlation_ids == [f"request {n}" for n in range(5)]
    assert log.correlation_id.get() == ""


async def test_a_handler_sees_no_objects_of_its_neighbours_in_the_session(database: Database) -> None:
    rows: list[InboxRow] = []

    async def add(session: AsyncSession, _: BellRung) -> None:
        assert not any(row in session for row in rows)
        rows.append(InboxRow(consumer="left behind", message_id=uuid4()))
        session.add(rows[-1])

    await ring(database, *range(3))
    assert await deliverer(database, Group("adders", {BellRung: add})).deliver(await page(database)) == 3
    assert await done(database, Group("left behind", {})) == 3


async def test_a_group_with_batches_of_one_gets_messages_one_by_one(database: Database, counter: Counter) -> None:
    await ring(database, *range(3))
    await drain_group(database, Group("soloists", {BellRung: counter}, batch_max=1))
    assert len(await transactions(database, "rung")) == 3


async def test_a_stopped_consumer_starts_no_delivery(database: Database, group: Group) -> None:
    await ring(database, 1)
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Stopped):
        await Deliverer(GroupBatcher(database, group), 3, stop).deliver(await page(database))
    assert await rung(database) == []


async def test_two_processes_with_the_same_messages_process_each_once_and_in_order(
    database: Database, group: Group
) -> None:
    """A partition changes hands while its previous owner is still working."""

    async def deliver_all(deliveries: list[Delivery], size: int) -> None:
        one = deliverer(database, group)
        while deliveries:
            deliveries = deliveries[await one.deliver(deliveries[:size]) :]

    await ring(database, *range(300))
    deliveries = await page(database)
    await asyncio.gather(deliver_all(deliveries, 7), deliver_all(deliveries, 32), deliver_all(deliveries, 1))
    assert await rung(database) == list(range(300))


async def test_batches_in_a_deadlock_are_delivered_one_by_one(database: Database, owner: Database) -> None:
    async with owner.transaction() as session:
        await session.execute(text("create table cups (id int, taken int default 0)"))
        await session.execute(text("insert into cups values (0), (1)"))
        await session.execute(text("grant all on cups to public"))
    holding = [asyncio.Event(), asyncio.Event()]

    def taking(first: int) -> Group:
        async def take(session: AsyncSession, message: BellRung) -> None:
            cup = (first + message.times) % 2
            await session.execute(text("update cups set taken = taken + 1 where id = :cup"), {"cup": cup})
            if message.times == 0:
                holding[first].set()
                await holding[1 - first].wait()

        return Group(f"taker {first}", {BellRung: take})

    await ring(database, 0, 1)
    await asyncio.gather(*(drain_group(database, taking(n)) for n in range(2)))
    async with database.transaction() as session:
        assert list(await session.scalars(text("select taken from cups"))) == [2, 2]


async def deliver_all_by(source: Deliverer, deliveries: list[Delivery]) -> None:
    while deliveries:
        deliveries = deliveries[await source.deliver(deliveries) :]


async def test_sources_that_arrive_together_share_a_transaction(database: Database, group: Group) -> None:
    """Partitions with a few messages each do not cost a commit each."""
    await ring(database, *range(12))
    deliveries, batcher = await page(database), GroupBatcher(database, group)
    sources = [Deliverer(batcher, 3, asyncio.Event()) for _ in range(4)]
    await asyncio.gather(*(deliver_all_by(source, deliveries[n::4]) for n, source in enumerate(sources)))
    assert sorted(await rung(database)) == list(range(12))
    assert await done(database, group) == 12
    assert len(await transactions(database, "rung")) == 1


async def test_sources_take_turns_when_a_transaction_is_full(database: Database, group: Group) -> None:
    await ring(database, *range(100))
    deliveries, batcher = await page(database), GroupBatcher(database, group)
    sources = [Deliverer(batcher, 3, asyncio.Event()) for _ in range(6)]
    await asyncio.gather(*(deliver_all_by(source, deliveries[n::6]) for n, source in enumerate(sources)))
    rung_times = await rung(database)
    assert sorted(rung_times) == list(range(100))
    for n in range(6):
        assert [one for one in rung_times if one % 6 == n] == list(range(n, 100, 6)), "each source keeps its order"


async def test_a_failing_source_does_not_delay_the_others(database: Database, group: Group, counter: Counter) -> None:
    counter.fail[0] = [Retry("not yet")] * 1000
    await ring(database, *range(6))
    deliveries, batcher = await page(database), GroupBatcher(database, group)
    sources = [Deliverer(batcher, 3, asyncio.Event()) for _ in range(2)]
    waiting = asyncio.create_task(deliver_all_by(sources[0], deliveries[0::2]))
    await asyncio.wait_for(deliver_all_by(sources[1], deliveries[1::2]), 60)
    assert await rung(database) == [1, 3, 5]
    counter.fail.clear()
    await waiting
    assert await rung(database) == [1, 3, 5, 0, 2, 4]


async def test_cancelling_a_waiting_source_does_not_affect_the_others(database: Database, counter: Counter) -> None:
    """Its messages may have been processed with the others: the inbox records which."""
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def wait(session: AsyncSession, message: BellRung) -> None:
        begun.set()
        await may_go_on.wait()
        await counter(session, message)

    group = Group("patient", {BellRung: wait})
    await ring(database, *range(9))
    deliveries, batcher = await page(database), GroupBatcher(database, group)
    sizes = (2, 3, 4)
    delivering = [
        asyncio.create_task(batcher.deliver(deliveries[sum(sizes[:n]) :][:size])) for n, size in enumerate(sizes)
    ]
    await begun.wait()
    delivering[1].cancel()
    await asyncio.wait({delivering[1]})
    may_go_on.set()
    assert [await delivering[0], await delivering[2]] == [2, 4]
    assert await rung(database) == list(range(9))


async def test_cancelling_a_source_during_its_transaction_does_not_affect_the_next(
    database: Database, counter: Counter
) -> None:
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def wait(session: AsyncSession, message: BellRung) -> None:
        begun.set()
        await may_go_on.wait()
        await counter(session, message)

    group = Group("cut off", {BellRung: wait})
    await ring(database, *range(5))
    deliveries, batcher = await page(database), GroupBatcher(database, group)
    delivering = [asyncio.create_task(batcher.deliver(run)) for run in (deliveries[:2], deliveries[2:])]
    await begun.wait()
    delivering[0].cancel()
    await asyncio.wait({delivering[0]})
    may_go_on.set()
    assert await delivering[1] == 3
    assert await rung(database) == [2, 3, 4], "the messages of the first were rolled back with it"
