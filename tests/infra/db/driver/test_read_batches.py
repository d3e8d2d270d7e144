"""Reads of several requests in one transaction: what each of them sees, and what one can do to the others."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import DBAPIError

from ticketing.infra.config import Settings
from ticketing.infra.db import Database, tenancy
from ticketing.infra.db.pipeline import send
from ticketing.infra.db.reads import batches
from ticketing.infra.errors import Overloaded

SETTINGS = """select current_setting('app.user_id', true), current_setting('app.organization_id', true),
                     current_setting('app.shown_organizations', true), now()"""
ENTER = "select set_config('app.organization_id', %s, true)"


@pytest.fixture
async def narrow(settings: Settings) -> AsyncIterator[Database]:
    """One connection, so that reads that are started together are one batch."""
    narrow = Database(settings.model_copy(update={"database_pool_size": 1}))
    await fetch(narrow, "select 1")
    yield narrow
    await narrow.close()


async def fetch(database: Database, query: str, *values: object) -> list[Any]:
    async with database.driver_reads().round_trip() as statements:
        result = await send(statements, query, *values)
    return await result.fetchall()


async def read_settings(database: Database, user_id: UUID | None, organization_id: UUID | None) -> list[Any]:
    async with database.driver_reads(user_id).round_trip() as statements:
        if organization_id is not None:
            await tenancy.show_on(statements, [organization_id])
            await send(statements, ENTER, str(organization_id))
        result = await send(statements, SETTINGS)
    return list(await result.fetchone() or ())


async def test_each_request_of_a_batch_sees_only_what_it_may_see(narrow: Database) -> None:
    users, tenant = [uuid4(), None, uuid4(), None, uuid4()], uuid4()
    tenants = [tenant, None, None, uuid4(), None]
    pairs = list(zip(users, tenants, strict=True))
    found = await asyncio.gather(*(read_settings(narrow, *pair) for pair in pairs))
    assert len({row[3] for row in found}) == 1, "they were not one transaction"
    for (user, entered), row in zip(pairs, found, strict=True):
        shown = f"{{{entered}}}" if entered else ""
        assert row[:3] == [str(user or ""), str(entered or ""), shown]


@pytest.mark.parametrize("bad", [("select 1 / %s::int", 0), ("select %s::text", "a\0b"), ("insert into inbox", 1)])
async def test_a_read_that_fails_fails_alone(narrow: Database, bad: tuple[str, Any]) -> None:
    good = [fetch(narrow, "select %s::int", number) for number in range(3)]
    results = await asyncio.gather(good[0], fetch(narrow, *bad), *good[1:], return_exceptions=True)
    assert isinstance(results.pop(1), DBAPIError)
    assert results == [[(0,)], [(1,)], [(2,)]]


async def test_a_client_that_leaves_does_not_take_the_batch_along(narrow: Database) -> None:
    tasks = [asyncio.create_task(fetch(narrow, "select %s::int, pg_sleep(0.2)", number)) for number in range(3)]
    waiting = asyncio.create_task(fetch(narrow, "select 3"))
    await asyncio.sleep(0.05)
    tasks[1].cancel()
    assert [row[0] for row in (await tasks[0], await tasks[2])] == [(0, ""), (2, "")]
    assert await waiting == [(3,)]
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]


async def test_a_batch_that_no_client_waits_for_is_cancelled_in_the_server(settings: Settings) -> None:
    update = {"database_pool_size": 1, "database_pool_timeout_seconds": 60}
    patient = Database(settings.model_copy(update=update), statement_seconds=300)
    await fetch(patient, "select 1")
    tasks = [asyncio.create_task(fetch(patient, "select pg_sleep(250)")) for _ in range(2)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(60):
        assert await fetch(patient, "select 1") == [(1,)]
    await patient.close()


async def test_a_lost_connection_fails_its_batch_and_no_later_one(narrow: Database) -> None:
    killers = [fetch(narrow, "select pg_terminate_backend(pg_backend_pid())"), fetch(narrow, "select 1")]
    assert all(isinstance(each, DBAPIError) for each in await asyncio.gather(*killers, return_exceptions=True))
    assert await fetch(narrow, "select 1") == [(1,)]


async def test_more_reads_than_a_batch_takes(database: Database) -> None:
    count = batches.BATCH_MAX * batches.WORKERS * 3
    found = await asyncio.gather(*(fetch(database, "select %s::int", number) for number in range(count)))
    assert found == [[(number,)] for number in range(count)]


async def test_a_full_queue_refuses_the_next_read(narrow: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PENDING_MAX", 2)
    results = await asyncio.gather(*(fetch(narrow, "select 1") for _ in range(3)), return_exceptions=True)
    assert results[:2] == [[(1,)], [(1,)]]
    assert isinstance(results[2], Overloaded)
