"""A pooled connection may die while it is idle: it is replaced before its next use."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db import session as session_module


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.model_copy(update={"database_pool_size": 1}))
    yield database
    await database.close()


async def backend(database: Database) -> int:
    async with database.transaction() as session:
        return int(await session.scalar(text("select pg_backend_pid()")) or 0)


async def kill(owner: Database, pid: int) -> None:
    async with owner.transaction() as session:
        await session.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})


async def test_an_idle_connection_that_died_is_replaced_before_it_is_used(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "PING_AFTER_SECONDS", 0)
    first = await backend(database)
    assert await backend(database) == first
    await kill(owner, first)
    assert await backend(database) != first


async def test_a_connection_that_has_just_died_costs_one_request(database: Database, owner: Database) -> None:
    first = await backend(database)
    await kill(owner, first)
    with pytest.raises(OperationalError):
        await backend(database)
    assert await backend(database) != first


@pytest.mark.parametrize(("seconds", "pings"), [(60, 0), (0, 2)], ids=["just used", "idle"])
async def test_only_idle_connections_are_pinged(
    database: Database, monkeypatch: pytest.MonkeyPatch, seconds: float, pings: int
) -> None:
    monkeypatch.setattr(session_module, "PING_AFTER_SECONDS", seconds)
    pinged: list[object] = []
    ping = database.engine.dialect.do_ping
    monkeypatch.setattr(database.engine.dialect, "do_ping", lambda connection: pinged.append(1) or ping(connection))
    for _ in range(3):
        await backend(database)
    assert len(pinged) == pings
