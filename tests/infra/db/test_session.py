"""A pooled connection may have died while it rested; whoever takes it next need not know."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.db import session as session_module


@pytest.fixture
async def database(settings: Settings) -> AsyncIterator[Database]:
    one = Database(settings.model_copy(update={"database_pool_size": 1}))
    yield one
    await one.close()


async def backend(database: Database) -> int:
    async with database.transaction() as session:
        return int(await session.scalar(text("select pg_backend_pid()")) or 0)


async def kill(owner: Database, pid: int) -> None:
    async with owner.transaction() as session:
        await session.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})


async def test_a_connection_that_died_at_rest_is_replaced_before_it_is_used(
    database: Database, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "PING_AFTER_SECONDS", 0)
    first = await backend(database)
    assert await backend(database) == first
    await kill(owner, first)
    assert await backend(database) != first


async def test_one_that_died_a_moment_ago_costs_one_request_and_no_more(database: Database, owner: Database) -> None:
    first = await backend(database)
    await kill(owner, first)
    with pytest.raises(OperationalError):
        await backend(database)
    assert await backend(database) != first


@pytest.mark.parametrize(("seconds", "pings"), [(60, 0), (0, 2)], ids=["just used", "rested"])
async def test_only_what_has_rested_is_asked(
    database: Database, monkeypatch: pytest.MonkeyPatch, seconds: float, pings: int
) -> None:
    monkeypatch.setattr(session_module, "PING_AFTER_SECONDS", seconds)
    asked: list[object] = []
    ping = database.engine.dialect.do_ping
    monkeypatch.setattr(database.engine.dialect, "do_ping", lambda connection: asked.append(1) or ping(connection))
    for _ in range(3):
        await backend(database)
    assert len(asked) == pings
