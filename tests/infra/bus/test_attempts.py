"""A message that always takes too long becomes a dead letter while the database commits others, and waits while not."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.bus.message_fixtures import BellRung, make_counter, ring, rung
from tests.support.drain import drain_group
from tests.support.platform import eventually
from ticketing.infra import log, metrics
from ticketing.infra.bus import ExternalGroup, Group, attempts
from ticketing.infra.bus.containment import keep_running
from ticketing.infra.bus.dead_letters import DeadLetter
from ticketing.infra.db import Database

SLOW = 2


@pytest.fixture(autouse=True)
def short_log() -> None:
    """Without it, each error is printed with the values of its frames, which takes seconds."""
    log.configure("json", "critical", "test")


class Ringer:
    """A handler that takes too long at the bell SLOW, in the ways that a handler can."""

    def __init__(self, statement: str = "") -> None:
        self.statement = statement
        self.tries = 0

    async def __call__(self, session: AsyncSession, message: BellRung) -> None:
        await session.execute(text("insert into rung (times) values (:times)"), {"times": message.times})
        if message.times == SLOW:
            self.tries += 1
            if self.statement:
                await (await session.connection()).exec_driver_sql(self.statement)
            else:
                await asyncio.Event().wait()


async def dead_letters(database: Database) -> list[DeadLetter]:
    async with database.transaction() as session:
        return list(await session.scalars(select(DeadLetter)))


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("set local statement_timeout = 10; select pg_sleep(30)", "QueryCanceled"),
        ("set local lock_timeout = 10; select pg_advisory_xact_lock(1)", "LockNotAvailable"),
        (
            "set local transaction_timeout = 0; set local transaction_timeout = 10; select pg_sleep(30)",
            "OperationalError",
        ),
        ("", "TimeoutError"),
    ],
)
async def test_a_message_that_always_times_out_becomes_a_dead_letter(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch, statement: str, error: str
) -> None:
    await make_counter(owner)
    monkeypatch.setattr(attempts, "ATTEMPT_SECONDS", 1.0 if not statement else attempts.ATTEMPT_SECONDS)
    async with owner.transaction() as locker:
        # A lock that needs no transaction id: readers of the log don't pass a transaction that has one.
        await locker.execute(text("select pg_advisory_xact_lock(1)"))
        ringer = Ringer(statement)
        await ring(database, 1, SLOW, 3)
        await drain_group(database, Group("ringers", {BellRung: ringer}), attempts_max=2)
    assert await rung(database) == [1, 3]
    (letter,) = await dead_letters(database)
    assert letter.attempts == 2
    assert error in letter.error
    assert ringer.tries == 3, "once with its batch, twice alone"


#: A database that answers, and in which writing transactions take forever: the function of the probe comes first in the
#: search path of new connections.
STUCK = """
create schema stuck;
create function stuck.pg_current_xact_id() returns xid8 language plpgsql as
  $$ begin perform pg_sleep(60); return pg_catalog.pg_current_xact_id(); end $$;
grant usage on schema stuck to public;
do $$ begin
  execute format('alter database %%I set search_path = stuck, pg_catalog, public', current_database());
end $$;"""


async def execute(database: Database, statements: str) -> None:
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(statements)


async def test_a_message_that_times_out_while_the_database_is_stuck_waits(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_counter(owner)
    await ring(database, SLOW)
    monkeypatch.setattr(attempts, "PROBE_SECONDS", 0.2)
    ringer = Ringer("set local statement_timeout = 10; select pg_sleep(30)")
    await execute(owner, STUCK)
    await database.engine.dispose()  # new connections have the new setting
    draining = asyncio.create_task(drain_group(database, Group("ringers", {BellRung: ringer}), attempts_max=2))

    async def has_tried_again() -> bool:
        assert not draining.done(), "it became a dead letter"
        return ringer.tries >= 3

    await eventually(has_tried_again)
    ringer.statement = "select 1"
    await execute(owner, "drop schema stuck cascade")
    await draining
    assert await rung(database) == [SLOW]
    assert await dead_letters(database) == []


async def test_an_effect_outside_the_database_has_a_limit_too(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_counter(owner)
    monkeypatch.setattr(attempts, "ATTEMPT_SECONDS", 0.2)

    async def prepare(_: AsyncSession, message: BellRung) -> int:
        return message.times

    async def send(times: int, _: object) -> None:
        if times == SLOW:
            await asyncio.Event().wait()

    await ring(database, SLOW, 3)
    await drain_group(database, ExternalGroup("senders", {BellRung: prepare}, send), attempts_max=2)
    (letter,) = await dead_letters(database)
    assert (letter.attempts, letter.message["payload"]["times"]) == (2, SLOW)


@pytest.fixture
async def stop() -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    yield stop
    stop.set()


@pytest.mark.parametrize("error", [RuntimeError("a defect"), asyncio.CancelledError(), SystemError("in a C library")])
async def test_a_group_that_fails_starts_again_and_leaves_the_others_alone(
    stop: asyncio.Event, error: BaseException
) -> None:
    starts: dict[str, int] = {"bad": 0, "good": 0}

    async def run(name: str) -> None:
        starts[name] += 1
        if name == "bad":
            raise error
        await stop.wait()

    before = metrics.REGISTRY.get_sample_value("ticketing_consumer_group_failures_total", {"group": "bad"}) or 0
    async with asyncio.TaskGroup() as tasks:
        for name in starts:
            tasks.create_task(keep_running(name, lambda name=name: run(name), stop))  # type: ignore[misc]
        began_at = time.monotonic()
        while starts["bad"] < 4:  # noqa: ASYNC110 (nothing sets an event)
            await asyncio.sleep(0.01)
        assert starts["good"] == 1
        # Back-off doubles from 0.1 s, less jitter of at most a half: it does not spin.
        assert time.monotonic() - began_at > 0.3
        after = metrics.REGISTRY.get_sample_value("ticketing_consumer_group_failures_total", {"group": "bad"})
        assert after == before + starts["bad"]
        stop.set()


async def test_a_group_that_is_cancelled_by_its_process_ends(stop: asyncio.Event) -> None:
    running = asyncio.create_task(keep_running("good", lambda: asyncio.sleep(60), stop))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
