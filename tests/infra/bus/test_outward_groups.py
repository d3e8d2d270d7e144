"""Errands to the world outside: run with no transaction open, once when all goes well, and again after a crash."""

from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.drain import drain_group
from ticketing.infra import outbox
from ticketing.infra.bus import ExternalGroup, Retry
from ticketing.infra.db import Database
from ticketing.infra.outbox import Message


class Wanted(Message):
    """An errand is wanted."""

    topic: ClassVar[str] = "test.wanted"
    key_field: ClassVar[str] = "name"

    name: str


class Errands:
    """Whoever runs them, and what becomes of the first tries."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.done: list[tuple[str, UUID]] = []
        self.open_transactions: list[int] = []
        self.failures: list[BaseException] = []

    async def prepare(self, session: AsyncSession, message: Wanted) -> str | None:
        await session.execute(text("select pg_current_xact_id()"))
        return message.name if message.name != "nothing" else None

    async def run(self, name: str, message_id: UUID) -> None:
        query = "select count(*) from pg_stat_activity where backend_xid is not null and datname = current_database()"
        async with self.database.transaction() as session:
            self.open_transactions.append(int(await session.scalar(text(query)) or 0))
        self.done.append((name, message_id))
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def errands(database: Database) -> Errands:
    return Errands(database)


@pytest.fixture
def group(errands: Errands) -> ExternalGroup:
    return ExternalGroup(f"errands-{uuid4().hex}", {Wanted: errands.prepare}, errands.run)


async def _want(database: Database, *names: str) -> None:
    async with database.transaction() as session:
        for name in names:
            outbox.publish(session, Wanted(name=name))


async def test_an_errand_runs_while_no_transaction_is_open(
    database: Database, group: ExternalGroup, errands: Errands
) -> None:
    await _want(database, "one", "two")
    await drain_group(database, group)
    assert [name for name, _ in errands.done] == ["one", "two"]
    assert errands.open_transactions == [0, 0], "one that waits would hold back every reader of the log"


async def test_an_errand_that_was_noted_never_runs_again(
    database: Database, group: ExternalGroup, errands: Errands
) -> None:
    await _want(database, "one")
    await drain_group(database, group)
    async with database.transaction() as session:
        await session.execute(text("delete from outbox_cursor"))
    await drain_group(database, group)
    assert [name for name, _ in errands.done] == ["one"]


@pytest.mark.parametrize("failure", [Retry("away"), ValueError("once")])
async def test_an_errand_that_failed_runs_again_under_the_same_id(
    database: Database, group: ExternalGroup, errands: Errands, failure: Exception
) -> None:
    errands.failures = [failure]
    await _want(database, "one", "two")
    await drain_group(database, group)
    assert [name for name, _ in errands.done] == ["one", "one", "two"]
    assert len({message_id for _, message_id in errands.done}) == 2


async def test_a_message_that_calls_for_nothing_is_done(
    database: Database, group: ExternalGroup, errands: Errands
) -> None:
    await _want(database, "nothing", "one")
    await drain_group(database, group)
    assert [name for name, _ in errands.done] == ["one"]
    async with database.transaction() as session:
        query = text("select count(*) from inbox where consumer = :group")
        assert await session.scalar(query, {"group": group.name}) == 2
