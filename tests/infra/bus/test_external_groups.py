"""External effects run while no transaction is open: once if nothing fails, and again after a crash."""

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


class EffectRequested(Message):
    topic: ClassVar[str] = "test.effect_requested"
    key_field: ClassVar[str] = "name"

    name: str


class Effects:
    """Records the effects, and fails the first attempts with `failures`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.done: list[tuple[str, UUID]] = []
        self.open_transactions: list[int] = []
        self.failures: list[BaseException] = []

    async def prepare(self, session: AsyncSession, message: EffectRequested) -> str | None:
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
def effects(database: Database) -> Effects:
    return Effects(database)


@pytest.fixture
def group(effects: Effects) -> ExternalGroup:
    return ExternalGroup(f"effects-{uuid4().hex}", {EffectRequested: effects.prepare}, effects.run)


async def _request(database: Database, *names: str) -> None:
    async with database.transaction() as session:
        for name in names:
            outbox.publish(session, EffectRequested(name=name))


async def test_an_external_effect_runs_while_no_transaction_is_open(
    database: Database, group: ExternalGroup, effects: Effects
) -> None:
    await _request(database, "one", "two")
    await drain_group(database, group)
    assert [name for name, _ in effects.done] == ["one", "two"]
    assert effects.open_transactions == [0, 0], "an open one would delay every reader of the log"


async def test_a_recorded_external_effect_is_not_repeated(
    database: Database, group: ExternalGroup, effects: Effects
) -> None:
    await _request(database, "one")
    await drain_group(database, group)
    async with database.transaction() as session:
        await session.execute(text("delete from outbox_cursor"))
    await drain_group(database, group)
    assert [name for name, _ in effects.done] == ["one"]


@pytest.mark.parametrize("failure", [Retry("away"), ValueError("once")])
async def test_a_failed_external_effect_is_retried_under_the_same_id(
    database: Database, group: ExternalGroup, effects: Effects, failure: Exception
) -> None:
    effects.failures = [failure]
    await _request(database, "one", "two")
    await drain_group(database, group)
    assert [name for name, _ in effects.done] == ["one", "one", "two"]
    assert len({message_id for _, message_id in effects.done}) == 2


async def test_a_message_without_an_effect_is_marked_as_processed(
    database: Database, group: ExternalGroup, effects: Effects
) -> None:
    await _request(database, "nothing", "one")
    await drain_group(database, group)
    assert [name for name, _ in effects.done] == ["one"]
    async with database.transaction() as session:
        query = text("select count(*) from inbox where consumer = :group")
        assert await session.scalar(query, {"group": group.name}) == 2
