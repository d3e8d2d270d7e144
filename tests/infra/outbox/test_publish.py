"""A message is appended with the transaction's next writes, whichever these are, and vanishes with a rollback."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.outbox.test_reader import SeatPainted
from ticketing.infra import outbox
from ticketing.infra.db import Database, statements
from ticketing.infra.outbox import OutboxRow

NOTHING = "select 1"


def painted(colour: str, organization_id: UUID | None = None) -> SeatPainted:
    return SeatPainted(organization_id=organization_id, seat_id=uuid4(), colour=colour)


async def colours(session: AsyncSession) -> Sequence[str]:
    rows = await session.scalars(select(OutboxRow.payload).order_by(OutboxRow.id))
    return [payload["colour"] for payload in rows]


async def publish_in_every_way(session: AsyncSession) -> None:
    outbox.publish(session, painted("with the session's flush"))
    async with statements.round_trip(session):
        outbox.publish(session, painted("in a round trip", uuid4()), painted("of another tenant", uuid4()))
        outbox.publish(session, painted("of no tenant"))
    await statements.defer(session, NOTHING)
    outbox.publish(session, painted("behind a deferred statement", uuid4()), painted("and one more"))


async def test_messages_are_appended_in_order_whatever_carries_them(database: Database) -> None:
    async with database.transaction() as session:
        await publish_in_every_way(session)
    async with database.transaction() as session:
        assert await colours(session) == [
            "with the session's flush",
            "in a round trip",
            "of another tenant",
            "of no tenant",
            "behind a deferred statement",
            "and one more",
        ]


async def test_no_message_survives_a_rollback(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as session:
            await publish_in_every_way(session)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with database.transaction() as session:
        assert await colours(session) == []


async def test_a_rolled_back_savepoint_takes_its_messages_along(database: Database) -> None:
    async def fail_inside(session: AsyncSession) -> None:
        async with session.begin_nested():
            await publish_in_every_way(session)
            raise LookupError

    async with database.transaction() as session:
        await statements.defer(session, NOTHING)
        outbox.publish(session, painted("before the savepoint"))
        with pytest.raises(LookupError):
            await fail_inside(session)
        outbox.publish(session, painted("after it"))
    async with database.transaction() as session:
        assert await colours(session) == ["before the savepoint", "after it"]
