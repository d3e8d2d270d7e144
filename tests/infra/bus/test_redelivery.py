"""A redelivered dead letter is replaced by its effect exactly once, whatever fails and however many try."""

import asyncio
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.drain import drain_group
from ticketing.infra import bus, log, outbox
from ticketing.infra.bus import AnyGroup, ExternalGroup, Group
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.bus.redelivery import Outcome, Selection, drop, redeliver
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery, Message

REASON = "it is not a message of this platform (the header 'message_id' is missing): it can only be dropped"


class BellCracked(Message):
    topic: ClassVar[str] = "bell.cracked"
    key_field: ClassVar[str] = "bell_id"

    bell_id: UUID
    number: int


class Founder:
    """A handler that fails while `failure` is set, and can be paused in the middle."""

    def __init__(self) -> None:
        self.failure: BaseException | None = ValueError("no bronze")
        self.correlation_ids: list[str] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self.sent: list[int] = []

    async def cast(self, session: AsyncSession, message: BellCracked) -> int:
        self.correlation_ids.append(log.correlation_id.get())
        await session.execute(text("insert into cast_bells values (:number)"), {"number": message.number})
        await self.may_go_on.wait()
        if self.failure is not None:
            raise self.failure
        return message.number

    async def send(self, number: int, message_id: UUID) -> None:
        await self.may_go_on.wait()
        self.sent.append(number)


class Batch:
    """A group that takes batches, and fails like the founder."""

    name, topics, pause_seconds = "founders", (BellCracked.topic,), 0.0

    def __init__(self, founder: Founder) -> None:
        self._founder = founder

    async def consume(self, database: Database, deliveries: list[Delivery]) -> None:
        async with database.transaction() as session:
            for each in deliveries:
                await self._founder.cast(session, BellCracked.model_validate(each.payload))


@pytest.fixture
async def founder(owner: Database) -> Founder:
    async with owner.transaction() as session:
        await session.execute(text("create table cast_bells (number int)"))
        await session.execute(text("grant all on cast_bells to public"))
    return Founder()


@pytest.fixture
def group(founder: Founder) -> Group:
    return Group("founders", {BellCracked: founder.cast})


@pytest.fixture(params=["alone", "external", "batch"])
def any_group(request: pytest.FixtureRequest, founder: Founder, group: Group) -> AnyGroup:
    external = ExternalGroup("founders", {BellCracked: founder.cast}, founder.send)
    kinds: dict[str, Any] = {"alone": group, "external": external, "batch": Batch(founder)}
    return kinds[request.param]


async def fail(database: Database, group: Group, *numbers: int) -> list[int]:
    """Let the group fail at these messages; the ids of their dead letters."""
    token = log.correlation_id.set("from the request")
    async with database.transaction() as session:
        for number in numbers:
            outbox.publish(session, BellCracked(bell_id=uuid4(), number=number))
    log.correlation_id.reset(token)
    await drain_group(database, group, attempts_max=1)
    return [dead_letter.id for dead_letter in await dead_letters(database)]


async def dead_letters(database: Database) -> list[DeadLetter]:
    async with database.transaction() as session:
        return list(await session.scalars(Selection().select()))


async def scalars(database: Database, query: str) -> list[Any]:
    async with database.transaction() as session:
        return list(await session.scalars(text(query)))


async def cast(database: Database) -> list[int]:
    return await scalars(database, "select number from cast_bells")


async def test_a_redelivered_dead_letter_has_its_effect_and_is_deleted(
    database: Database, group: Group, any_group: AnyGroup, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = None
    assert await redeliver(database, {"founders": any_group}, dead_letter_id) == (Outcome.DONE, "")
    assert await cast(database) == [1]
    assert await dead_letters(database) == []
    assert founder.correlation_ids == ["from the request"] * 2
    assert founder.sent == ([1] if isinstance(any_group, ExternalGroup) else [])
    assert (await redeliver(database, {"founders": any_group}, dead_letter_id))[0] == Outcome.GONE
    assert await cast(database) == [1]


async def test_a_redelivered_message_is_skipped_when_it_is_read_again(
    database: Database, group: Group, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = None
    async with database.transaction() as session:  # older than the retention of the inbox
        await session.execute(text("delete from inbox"))
    await redeliver(database, {"founders": group}, dead_letter_id)
    async with database.transaction() as session:
        await session.execute(text("update outbox_cursor set window_from = '0', window_to = null, last_id = 0"))
    assert await drain_group(database, group) == 1
    assert await cast(database) == [1]


async def test_a_dead_letter_that_fails_again_keeps_its_new_error(
    database: Database, group: Group, any_group: AnyGroup, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = LookupError("no clay")
    outcome, reason = await redeliver(database, {"founders": any_group}, dead_letter_id)
    assert (outcome, reason) == (Outcome.FAILED, "LookupError: no clay")
    (dead_letter,) = await dead_letters(database)
    assert (dead_letter.attempts, "no clay" in dead_letter.error, "no bronze" in dead_letter.error) == (2, True, False)
    assert dead_letter.failed_at > dead_letter.created_at
    assert await cast(database) == []


async def test_an_outage_leaves_a_dead_letter_unchanged(
    database: Database, group: Group, any_group: AnyGroup, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = bus.Retry("the foundry is shut")
    assert (await redeliver(database, {"founders": any_group}, dead_letter_id))[0] == Outcome.WAITS
    (dead_letter,) = await dead_letters(database)
    assert (dead_letter.attempts, "no bronze" in dead_letter.error) == (1, True)


async def test_two_operators_redeliver_one_dead_letter(
    database: Database, group: Group, any_group: AnyGroup, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = None
    founder.may_go_on.clear()
    groups = {"founders": any_group}
    attempts = [asyncio.create_task(redeliver(database, groups, dead_letter_id)) for _ in range(3)]
    await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
    founder.may_go_on.set()
    assert sorted(outcome for outcome, _ in await asyncio.gather(*attempts)) == ["done", "taken", "taken"]
    assert await cast(database) == [1]


async def test_a_dead_letter_deleted_during_its_redelivery_is_reported_as_gone(
    database: Database, group: Group, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = None
    founder.may_go_on.clear()
    redelivering = asyncio.create_task(redeliver(database, {"founders": Batch(founder)}, dead_letter_id))
    while len(founder.correlation_ids) < 2:  # noqa: ASYNC110 (the handler sets no event)
        await asyncio.sleep(0.01)
    async with database.transaction() as session:
        await session.execute(text("delete from dead_letters"))
    founder.may_go_on.set()
    assert (await redelivering)[0] == Outcome.GONE


async def test_a_crash_during_redelivery_leaves_the_dead_letter_or_the_effect(
    database: Database, group: Group, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = None
    founder.may_go_on.clear()
    redelivering = asyncio.create_task(redeliver(database, {"founders": group}, dead_letter_id))
    killed = "select count(pg_terminate_backend(pid)) from pg_stat_activity where backend_xid is not null"
    while not (await scalars(database, killed + " and datname = current_database()"))[0]:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    founder.may_go_on.set()
    assert (await redelivering)[0] == Outcome.WAITS
    assert (await cast(database), len(await dead_letters(database))) == ([], 1)
    assert (await redeliver(database, {"founders": group}, dead_letter_id))[0] == Outcome.DONE
    assert (await cast(database), await dead_letters(database)) == ([1], [])


async def test_a_dead_letter_without_a_handler_is_kept_unchanged(
    database: Database, group: Group, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    founder.failure = None
    outcome, reason = await redeliver(database, {}, dead_letter_id)
    assert (outcome, reason) == (Outcome.FAILED, "there is no consumer founders in this release")
    outcome, reason = await redeliver(database, {"founders": Group("founders", {})}, dead_letter_id)
    assert (outcome, reason) == (Outcome.FAILED, "founders does not react to bell.cracked in this release")
    async with database.transaction() as session:
        await session.execute(text('update dead_letters set message = \'{"value": "AA==", "headers": []}\''))
    outcome, reason = await redeliver(database, {"founders": group}, dead_letter_id)
    assert (outcome, reason) == (Outcome.FAILED, REASON)
    assert (await dead_letters(database))[0].attempts == 1


async def test_a_dropped_dead_letter_never_comes_back(database: Database, group: Group, founder: Founder) -> None:
    first, second = await fail(database, group, 1, 2)
    founder.failure = None
    assert await drop(database, first)
    assert not await drop(database, first)
    async with database.transaction() as session:
        await session.execute(text("update outbox_cursor set window_from = '0', window_to = null, last_id = 0"))
    await drain_group(database, group)
    assert await cast(database) == []
    assert [dead_letter.id for dead_letter in await dead_letters(database)] == [second]


async def test_dead_letters_are_selected_by_all_given_conditions(database: Database, group: Group) -> None:
    await fail(database, group, 1, 2)
    other = await dead_letters(database)
    async with database.transaction() as session:
        await session.execute(
            text("update dead_letters set topic = 'bell.stolen', consumer = 'police' where id = :id"),
            {"id": other[1].id},
        )

    async def numbers(selection: Selection) -> list[int]:
        async with database.transaction() as session:
            return [
                dead_letter.message["payload"]["number"] for dead_letter in await session.scalars(selection.select())
            ]

    assert await numbers(Selection()) == [1, 2]
    assert await numbers(Selection(topic="bell.stolen")) == [2]
    assert await numbers(Selection(consumer="founders")) == [1]
    assert await numbers(Selection(ids=[other[0].id], consumer="police")) == []
    assert await numbers(Selection(since=select(text("now() + interval '1 minute'")).scalar_subquery())) == []


async def test_a_message_that_only_bytes_can_keep_is_redelivered_from_them(
    database: Database, group: Group, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    async with database.transaction() as session:
        # The type `json` accepts what `jsonb` rejects.
        await session.execute(text("delete from dead_letters; delete from inbox; "))
        await session.execute(
            text("""
            insert into outbox (message_id, topic, key, schema_version, payload, correlation_id, traceparent, actor)
            select gen_random_uuid(), topic, key, schema_version,
                   cast(replace(cast(payload as text), '{', '{"note": "a \\u0000", ') as json), 'c', '', ''
              from outbox limit 1""")
        )
    await drain_group(database, group, attempts_max=1)
    (letter,) = await dead_letters(database)
    assert set(letter.message) == {"key", "value", "headers"}
    founder.failure = None
    assert await redeliver(database, {"founders": group}, letter.id) == (Outcome.DONE, "")
    assert await cast(database) == [1]
    assert founder.correlation_ids[-1] == "c"
    assert letter.id != dead_letter_id


async def test_a_dead_letter_without_its_message_names_the_place_where_that_is(
    database: Database, group: Group, founder: Founder
) -> None:
    (dead_letter_id,) = await fail(database, group, 1)
    async with database.transaction() as session:
        await session.execute(
            text("""update dead_letters set message = '{"value_bytes": 2000000, "value_sha256": "00"}',
                    origin = 'bell.cracked/0/7'""")
        )
    outcome, reason = await redeliver(database, {"founders": group}, dead_letter_id)
    assert outcome == Outcome.FAILED
    assert reason.endswith("it is at bell.cracked/0/7")
    assert len(await dead_letters(database)) == 1
