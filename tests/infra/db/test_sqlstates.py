"""Errors that mean "not now" are outages everywhere, and errors of the statement are not."""

from contextlib import AsyncExitStack

import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from tests.support.world import World, data, refusal
from ticketing.infra.bus.attempts import Attempts, Poison
from ticketing.infra.db import Database
from ticketing.infra.db.sqlstates import EFFECTS, Effect, effect_of
from ticketing.infra.system.retry import OUTAGES

#: One code of each row of the table, and some that only the statement is to blame for.
OUTAGE_CODES = (
    "08006",
    "08P01",
    "25006",
    "25P03",
    "25P04",
    "26000",
    "40001",
    "40P01",
    "42P05",
    "53100",
    "53200",
    "53300",
    "55006",
    "55P03",
    "57000",
    "57014",
    "57P01",
    "57P02",
    "57P03",
    "57P04",
    "57P05",
    "58030",
    "58P01",
)
STATEMENT_CODES = ("22001", "23505", "25001", "42P01", "54000", "54001", "55000", "XX000", "XX001")


async def raise_on_insert(owner: Database, table: str, code: str) -> None:
    """Make the server refuse each row of a table with this SQLSTATE."""
    async with owner.transaction() as session:
        for statement in (
            f"create or replace function refuse() returns trigger language plpgsql as "
            f"$$ begin raise exception 'refused' using errcode = '{code}'; end $$",
            f"create or replace trigger refuse before insert on {table} for each row execute function refuse()",
        ):
            await session.execute(text(statement))


def test_every_row_of_the_table_is_tested() -> None:
    assert {next(key for key in (c, c[:3], c[:2]) if key in EFFECTS) for c in OUTAGE_CODES} == set(EFFECTS)


async def test_a_write_is_answered_503_with_retry_after_for_each_outage_and_500_for_each_other_code(
    app: FastAPI, world: World
) -> None:
    person, show = await world.person(), await world.show(seats=2, rows=1)
    owner: Database = app.state.owner_database
    for code in OUTAGE_CODES + STATEMENT_CODES:
        await raise_on_insert(owner, "organizations", code)
        await raise_on_insert(owner, "reservations", code)
        for response in (
            await person.post("/orgs", {"name": "A", "slug": "a-b-c"}),
            await person.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]}, key=f"key-{code}"),
        ):
            if code in OUTAGE_CODES:
                assert refusal(response, 503)["code"] in {"dependency_down", "overloaded"}, code
                assert response.headers["Retry-After"]
            else:
                assert response.status_code in {500, 409}, (code, response.text)
    async with owner.transaction() as session:
        await session.execute(text("drop function refuse() cascade"))
    data(await person.post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]}, key="another"), 201)


INSERT = "insert into inbox (consumer, message_id) values ('orders', gen_random_uuid())"


async def backend(database: Database) -> int:
    async with database.engine.connect() as connection:
        return int(await connection.scalar(text("select pg_backend_pid()")))


async def test_workers_wait_for_each_outage_and_replace_the_connections_that_are_useless(
    database: Database, owner: Database
) -> None:
    for code in OUTAGE_CODES:
        await raise_on_insert(owner, "inbox", code)
        before = await backend(database)
        with pytest.raises(OUTAGES) as raised:
            async with database.transaction() as session:
                await session.execute(text(INSERT))
        assert isinstance(raised.value, OperationalError), code
        assert (await backend(database) != before) == (effect_of(code) is Effect.RECONNECT), code


async def test_a_failing_statement_is_not_an_outage(database: Database, owner: Database) -> None:
    for code in STATEMENT_CODES:
        await raise_on_insert(owner, "inbox", code)
        with pytest.raises(DBAPIError) as raised:
            async with database.transaction() as session:
                await session.execute(text(INSERT))
        assert not isinstance(raised.value, OUTAGES), code
        assert isinstance(raised.value.orig, psycopg.Error)
        assert raised.value.orig.sqlstate == code


async def test_a_message_that_hits_a_limit_of_the_server_becomes_a_dead_letter(
    database: Database, owner: Database
) -> None:
    """54000 is what a value gets that is too large for an index: psycopg calls it operational."""
    await raise_on_insert(owner, "inbox", "54000")
    attempts = Attempts(1)
    with pytest.raises(DBAPIError) as raised:
        async with database.transaction() as session:
            await session.execute(text(INSERT))
    with pytest.raises(Poison):
        attempts.on_error(raised.value)


async def test_a_useless_connection_takes_the_older_ones_of_its_pool_with_it(
    database: Database, owner: Database
) -> None:
    before = await open_connections(database, 3)
    await raise_on_insert(owner, "inbox", "25006")
    with pytest.raises(OperationalError):
        async with database.transaction() as session:
            await session.execute(text(INSERT))
    assert not await open_connections(database, 3) & before


async def open_connections(database: Database, count: int) -> set[int]:
    """Use `count` connections at a time; the process ids of their servers."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(database.engine.connect()) for _ in range(count)]
        return {int(await connection.scalar(text("select pg_backend_pid()"))) for connection in connections}
