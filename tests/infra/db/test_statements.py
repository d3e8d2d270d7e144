"""Plain SQL in a session: in its transaction, for its caller, after its pending models, and with its errors."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.outbox.test_reader import SeatPainted
from ticketing.infra import outbox
from ticketing.infra.bus import InboxRow
from ticketing.infra.db import Database, statements
from ticketing.infra.db.driver.connection import BoundedConnection
from ticketing.infra.db.driver.round_trip import RoundTrip
from ticketing.infra.db.pipeline import pipelined, send
from ticketing.infra.group_commit import batch_transaction
from ticketing.infra.outbox import OutboxRow
from ticketing.infra.outbox.reader import LogReader
from ticketing.modules import reservations

INSERT = "insert into inbox (consumer, message_id) values (%s, %s)"
WRITE = f"insert into inbox (consumer, message_id) values ('deferred', '{uuid4()}')"
CALLER = "select current_setting('app.user_id', true)"


async def caller(session: AsyncSession) -> str:
    async with statements.round_trip(session) as connection:
        cursor = await send(connection, CALLER)
    return str((await cursor.fetchall())[0][0])


async def inserted(session: AsyncSession) -> list[UUID]:
    async with statements.round_trip(session) as connection:
        rows = await send(connection, "select message_id from inbox where consumer = 'deferred' order by ctid")
    return [row[0] for row in await rows.fetchall()]


async def write_twice(database: Database, id: UUID) -> None:
    async with database.transaction() as session, statements.round_trip(session) as connection:
        await send(connection, INSERT, "one", id)
        await send(connection, INSERT, "one", id)


async def end_own_connection(database: Database) -> None:
    async with database.transaction() as session, statements.round_trip(session) as connection:
        await send(connection, "select pg_terminate_backend(pg_backend_pid())")


async def test_the_caller_is_set_before_the_first_plain_statement(database: Database) -> None:
    user_id = uuid4()
    async with database.transaction(user_id) as session:
        assert await caller(session) == str(user_id)
        assert await caller(session) == str(user_id)


async def test_the_caller_is_set_once_when_a_model_came_first(database: Database) -> None:
    user_id = uuid4()
    async with database.transaction(user_id) as session:
        assert await session.scalar(text(CALLER)) == str(user_id)
        assert await caller(session) == str(user_id)


async def test_the_caller_of_one_transaction_does_not_reach_the_next(database: Database) -> None:
    async with database.transaction(uuid4()) as session:
        assert await caller(session)
    async with database.transaction() as session:
        assert await caller(session) in {"", "None"}


async def test_a_session_reused_after_a_commit_sets_the_caller_again(database: Database) -> None:
    user_id = uuid4()
    async with database.transaction(user_id) as session:
        await caller(session)
        await session.commit()
        assert await caller(session) == str(user_id)


async def test_pending_models_are_flushed_first(database: Database) -> None:
    id = uuid4()
    async with database.transaction() as session:
        session.add(InboxRow(consumer="one", message_id=id))
        async with statements.round_trip(session) as connection:
            found = await send(connection, "select 1 from inbox where message_id = %s", id)
        assert await found.fetchall() == [(1,)]


async def test_a_failed_statement_rolls_back_and_raises_the_error_of_a_session(database: Database) -> None:
    id = uuid4()
    with pytest.raises(IntegrityError):
        await write_twice(database, id)
    async with database.transaction() as session:
        assert await session.get(InboxRow, ("one", id)) is None


async def test_a_lost_connection_is_an_outage_and_is_replaced(database: Database) -> None:
    with pytest.raises(OperationalError):
        await end_own_connection(database)
    async with database.transaction() as session:
        assert await session.scalar(text("select 1")) == 1


async def test_messages_are_published_in_order_and_readers_are_notified(database: Database) -> None:
    changed: list[object] = []
    database.on_changed.append(lambda subject_ids, _: changed.append(subject_ids))
    organization_id, event_id, reservation_ids = uuid4(), uuid4(), [uuid4() for _ in range(3)]
    messages = [
        reservations.ReservationExpired(
            organization_id=organization_id,
            reservation_id=id,
            event_id=event_id,
            user_id=uuid4(),
            seat_numbers=[7],
            ticket_type_ids=[],
        )
        for id in reservation_ids
    ]
    reader = LogReader(database, "test", "test")
    await reader.acquire()
    async with database.transaction() as session, statements.round_trip(session):
        outbox.publish(session, *messages)
    assert changed == [{event_id}]
    published = await reader.read()
    assert [delivery.key for delivery in published] == [str(id) for id in reservation_ids]
    assert reservations.ReservationExpired.model_validate(published[0].payload) == messages[0]


async def test_deferred_statements_are_sent_in_order(database: Database) -> None:
    """Before the next statement, however it is sent, and before the commit."""
    ids = [uuid4() for _ in range(5)]
    async with database.transaction() as session:
        await statements.defer(session, INSERT, "deferred", ids[0])
        assert await inserted(session) == [ids[0]]
        await statements.defer(session, INSERT, "deferred", ids[1])
        assert len((await session.scalars(select(InboxRow).where(InboxRow.consumer == "deferred"))).all()) == 2
        await statements.defer(session, INSERT, "deferred", ids[2])
        await statements.execute(session, INSERT, "deferred", ids[3])
        await statements.defer(session, INSERT, "deferred", ids[4])
    async with database.transaction() as session:
        assert await inserted(session) == ids


async def defer_all(database: Database, *queries: str, error: Exception | None = None) -> None:
    async with database.transaction() as session:
        for query in queries:
            await statements.defer(session, query)
        if error:
            raise error


async def test_deferred_statements_are_discarded_with_their_transaction(database: Database) -> None:
    with pytest.raises(LookupError):
        await defer_all(database, WRITE, error=LookupError())
    async with database.transaction() as session:
        await statements.defer(session, WRITE)
        await session.rollback()
        assert await inserted(session) == []
    async with database.transaction() as session:
        assert await inserted(session) == []


async def test_a_failed_deferred_statement_fails_its_transaction(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await defer_all(database, WRITE, WRITE)
    with pytest.raises(OperationalError):
        await defer_all(database, "select pg_terminate_backend(pg_backend_pid())")
    async with database.transaction() as session:
        assert await inserted(session) == []


async def test_the_caller_is_set_before_deferred_statements(database: Database) -> None:
    user_id = uuid4()
    async with database.transaction(user_id) as session:
        await statements.defer(session, f"select set_config('app.caller_seen', ({CALLER}), true)")
        cursor = await statements.execute(session, "select current_setting('app.caller_seen')")
        assert await cursor.fetchone() == (str(user_id),)


async def test_an_open_round_trip_sends_deferred_statements(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "DEFERRED_MAX", 1)
    ids, message = [uuid4() for _ in range(3)], SeatPainted(organization_id=uuid4(), seat_id=uuid4(), colour="red")
    async with database.transaction() as session:
        async with statements.round_trip(session) as connection:
            outbox.publish(session, message)
            await send(connection, INSERT, "deferred", ids[0])
            await statements.defer(session, INSERT, "deferred", ids[1])
            await send(connection, INSERT, "deferred", ids[2])
        assert await inserted(session) == ids
        assert await session.scalar(select(func.count()).select_from(OutboxRow)) == 1


async def test_the_number_of_deferred_statements_is_limited(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "DEFERRED_MAX", 3)
    async with database.transaction() as session:
        for count in (1, 2, 0, 1):
            await statements.defer(session, INSERT, "deferred", uuid4())
            assert len((await statements._driver_connection(session)).deferred) == count  # type: ignore[attr-defined]


async def test_each_savepoint_confines_its_failed_statement(database: Database) -> None:
    async def fail_in_savepoint(session: AsyncSession) -> None:
        async with session.begin_nested():
            await statements.execute(session, INSERT, "deferred", uuid4())
            await statements.execute(session, "select 1 / 0")

    kept = uuid4()
    async with database.transaction() as session:
        await statements.execute(session, INSERT, "deferred", kept)
        for _ in range(2):
            with pytest.raises(DBAPIError):
                await fail_in_savepoint(session)
    async with database.transaction() as session:
        assert await inserted(session) == [kept]


async def test_messages_of_a_savepoint_end_with_it(database: Database) -> None:
    organization_id = uuid4()

    async def published(session: AsyncSession) -> list[str]:
        rows = await statements.execute(
            session, "select payload ->> 'colour' from outbox where organization_id = %s order by id", organization_id
        )
        return [row[0] for row in await rows.fetchall()]

    def publish(session: AsyncSession, colour: str) -> None:
        outbox.publish(session, SeatPainted(organization_id=organization_id, seat_id=uuid4(), colour=colour))

    async with database.transaction() as session:
        await caller(session)
        publish(session, "red")
        async with session.begin_nested() as savepoint:
            await caller(session)
            publish(session, "green")
            await savepoint.rollback()
        publish(session, "blue")
        publish(session, "white")
    async with database.transaction() as session:
        await statements.execute(session, "select set_config('app.organization_id', %s, true)", str(organization_id))
        assert await published(session) == ["red", "blue", "white"]


async def test_deferred_statements_and_the_commit_share_a_round_trip(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[bool] = []
    exchange = BoundedConnection.exchange

    async def counted(connection: BoundedConnection, round_trip: RoundTrip) -> None:
        sizes.append(round_trip.commits)
        await exchange(connection, round_trip)

    monkeypatch.setattr(BoundedConnection, "exchange", counted)
    async with database.transaction() as session:
        await caller(session)
        await statements.defer(session, WRITE)
    assert sizes == [False, True]
    async with database.transaction() as session:
        assert len(await inserted(session)) == 1


async def test_a_deferred_statement_that_fails_at_the_commit_raises_the_error_of_a_session(database: Database) -> None:
    async def defer_twice() -> None:
        async with database.transaction() as session:
            await statements.defer(session, WRITE)
            await statements.defer(session, WRITE)

    with pytest.raises(IntegrityError):
        await defer_twice()
    async with database.transaction() as session:
        assert await inserted(session) == []


async def test_what_a_session_defers_is_committed_by_the_batch_that_it_joined(database: Database) -> None:
    async with database.engine.connect() as pooled, batch_transaction(pooled) as driver:
        async with AsyncSession(pooled, join_transaction_mode="rollback_only") as session:
            await statements.defer(session, WRITE)
        async with pipelined(driver) as round_trip:
            round_trip.commits = True
        assert driver.deferred == []
    async with database.transaction() as session:
        assert len(await inserted(session)) == 1
