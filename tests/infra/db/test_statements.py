"""Plain SQL in a session: in its transaction, under its caller's name, after its models, and with its errors."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from tests.infra.outbox.test_reader import SeatPainted
from ticketing.infra import outbox
from ticketing.infra.bus import InboxRow
from ticketing.infra.db import Database
from ticketing.infra.db import statements as plain
from ticketing.infra.db.pipeline import send
from ticketing.infra.outbox import OutboxRow
from ticketing.infra.outbox.reader import LogReader
from ticketing.modules import reservations

NOTE = "insert into inbox (consumer, message_id) values (%s, %s)"
WRITE = f"insert into inbox (consumer, message_id) values ('later', '{uuid4()}')"
WHO = "select current_setting('app.user_id', true)"


async def who_calls(session: AsyncSession) -> str:
    async with plain.round_trip(session) as connection:
        answer = await send(connection, WHO)
    return str((await answer.fetchall())[0][0])


async def noted(session: AsyncSession) -> list[UUID]:
    async with plain.round_trip(session) as connection:
        rows = await send(connection, "select message_id from inbox where consumer = 'later' order by ctid")
    return [row[0] for row in await rows.fetchall()]


async def write_twice(database: Database, id: UUID) -> None:
    async with database.transaction() as session, plain.round_trip(session) as connection:
        await send(connection, NOTE, "one", id)
        await send(connection, NOTE, "one", id)


async def end_own_connection(database: Database) -> None:
    async with database.transaction() as session, plain.round_trip(session) as connection:
        await send(connection, "select pg_terminate_backend(pg_backend_pid())")


async def test_who_calls_is_said_before_the_first_plain_statement(database: Database) -> None:
    somebody = uuid4()
    async with database.transaction(somebody) as session:
        assert await who_calls(session) == str(somebody)
        assert await who_calls(session) == str(somebody)


async def test_who_calls_is_said_once_when_a_model_came_first(database: Database) -> None:
    somebody = uuid4()
    async with database.transaction(somebody) as session:
        assert await session.scalar(text(WHO)) == str(somebody)
        assert await who_calls(session) == str(somebody)


async def test_who_called_before_is_not_whoever_calls_next(database: Database) -> None:
    async with database.transaction(uuid4()) as session:
        assert await who_calls(session)
    async with database.transaction() as session:
        assert await who_calls(session) in {"", "None"}


async def test_a_session_that_goes_on_after_a_commit_says_again_who_calls(database: Database) -> None:
    somebody = uuid4()
    async with database.transaction(somebody) as session:
        await who_calls(session)
        await session.commit()
        assert await who_calls(session) == str(somebody)


async def test_what_was_done_to_models_before_comes_first(database: Database) -> None:
    id = uuid4()
    async with database.transaction() as session:
        session.add(InboxRow(consumer="one", message_id=id))
        async with plain.round_trip(session) as connection:
            found = await send(connection, "select 1 from inbox where message_id = %s", id)
        assert await found.fetchall() == [(1,)]


async def test_a_refused_statement_undoes_its_transaction_and_raises_what_a_session_would(database: Database) -> None:
    id = uuid4()
    with pytest.raises(IntegrityError):
        await write_twice(database, id)
    async with database.transaction() as session:
        assert await session.get(InboxRow, ("one", id)) is None


async def test_a_lost_connection_is_an_outage_and_the_next_transaction_has_another(database: Database) -> None:
    with pytest.raises(OperationalError):
        await end_own_connection(database)
    async with database.transaction() as session:
        assert await session.scalar(text("select 1")) == 1


async def test_facts_are_told_in_their_order_and_the_readers_are_woken(database: Database) -> None:
    heard: list[object] = []
    database.on_changed.append(heard.append)
    organization_id, event_id, reservation_ids = uuid4(), uuid4(), [uuid4() for _ in range(3)]
    facts = [
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
    reader = LogReader(database, "plain", "here")
    await reader.acquire()
    async with database.transaction() as session, plain.round_trip(session):
        outbox.publish(session, *facts)
    assert heard == [{event_id}]
    told = await reader.read()
    assert [delivery.key for delivery in told] == [str(id) for id in reservation_ids]
    assert reservations.ReservationExpired.model_validate(told[0].payload) == facts[0]


async def test_what_may_wait_is_sent_in_its_place(database: Database) -> None:
    """Before the next statement, whoever makes it, and before the commit."""
    ids = [uuid4() for _ in range(5)]
    async with database.transaction() as session:
        await plain.defer(session, NOTE, "later", ids[0])
        assert await noted(session) == [ids[0]]
        await plain.defer(session, NOTE, "later", ids[1])
        assert len((await session.scalars(select(InboxRow).where(InboxRow.consumer == "later"))).all()) == 2
        await plain.defer(session, NOTE, "later", ids[2])
        await plain.execute(session, NOTE, "later", ids[3])
        await plain.defer(session, NOTE, "later", ids[4])
    async with database.transaction() as session:
        assert await noted(session) == ids


async def wait_and(database: Database, *statements: str, error: Exception | None = None) -> None:
    async with database.transaction() as session:
        for statement in statements:
            await plain.defer(session, statement)
        if error:
            raise error


async def test_what_waits_is_gone_with_its_transaction(database: Database) -> None:
    with pytest.raises(LookupError):
        await wait_and(database, WRITE, error=LookupError())
    async with database.transaction() as session:
        await plain.defer(session, WRITE)
        await session.rollback()
        assert await noted(session) == []
    async with database.transaction() as session:
        assert await noted(session) == []


async def test_what_waits_and_fails_fails_its_transaction(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await wait_and(database, WRITE, WRITE)
    with pytest.raises(OperationalError):
        await wait_and(database, "select pg_terminate_backend(pg_backend_pid())")
    async with database.transaction() as session:
        assert await noted(session) == []


async def test_who_calls_is_said_before_what_waits(database: Database) -> None:
    somebody = uuid4()
    async with database.transaction(somebody) as session:
        await plain.defer(session, f"select set_config('app.heard', ({WHO}), true)")
        answer = await plain.execute(session, "select current_setting('app.heard')")
        assert await answer.fetchone() == (str(somebody),)


async def test_an_open_round_trip_takes_along_what_would_wait(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "DEFERRED_MAX", 1)
    ids, fact = [uuid4() for _ in range(3)], SeatPainted(organization_id=uuid4(), seat_id=uuid4(), colour="red")
    async with database.transaction() as session:
        async with plain.round_trip(session) as connection:
            outbox.publish(session, fact)
            await send(connection, NOTE, "later", ids[0])
            await plain.defer(session, NOTE, "later", ids[1])
            await send(connection, NOTE, "later", ids[2])
        assert await noted(session) == ids
        assert await session.scalar(select(func.count()).select_from(OutboxRow)) == 1


async def test_no_more_waits_than_there_is_room_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "DEFERRED_MAX", 3)
    async with database.transaction() as session:
        for waiting in (1, 2, 0, 1):
            await plain.defer(session, NOTE, "later", uuid4())
            assert len((await plain._driver_connection(session)).deferred) == waiting  # type: ignore[attr-defined]
