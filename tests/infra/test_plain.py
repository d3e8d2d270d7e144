"""Plain SQL in a session: in its transaction, under its caller's name, after its models, and with its errors."""

from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import plain
from ticketing.infra.bus import InboxRow
from ticketing.infra.db import Database
from ticketing.infra.outbox_reader import LogReader
from ticketing.infra.wire import send
from ticketing.modules import reservations

NOTE = "insert into inbox (consumer, message_id) values (%s, %s)"
WHO = "select current_setting('app.user_id', true)"


async def who_calls(session: AsyncSession) -> str:
    async with plain.round_trip(session) as wire:
        answer = await send(wire, WHO)
    return str((await answer.fetchall())[0][0])


async def write_twice(database: Database, id: UUID) -> None:
    async with database.transaction() as session, plain.round_trip(session) as wire:
        await send(wire, NOTE, "one", id)
        await send(wire, NOTE, "one", id)


async def end_own_connection(database: Database) -> None:
    async with database.transaction() as session, plain.round_trip(session) as wire:
        await send(wire, "select pg_terminate_backend(pg_backend_pid())")


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
        async with plain.round_trip(session) as wire:
            found = await send(wire, "select 1 from inbox where message_id = %s", id)
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
        plain.publish(session, *facts)
    assert heard == [{event_id}]
    told = await reader.read()
    assert [delivery.key for delivery in told] == [str(id) for id in reservation_ids]
    assert reservations.ReservationExpired.model_validate(told[0].payload) == facts[0]
