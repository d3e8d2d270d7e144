"""A session has an absolute end that no refresh extends, by the clock of Postgres."""

from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from tests.support.world import API, Person, World, data, refusal
from ticketing.infra.config import ConfigurationError, get_settings, load_settings
from ticketing.infra.db import Database
from ticketing.modules.iam import clean_sessions

DAY = 86_400


async def _began(database: Database, seconds_ago: float) -> None:
    """Make every session this old, without changing what its last refresh stored."""
    async with database.transaction() as session:
        older = "update sessions set created_at = now() - make_interval(secs => :ago)"
        await session.execute(text(older), {"ago": seconds_ago})


async def _ends(database: Database) -> tuple[list[float], list[float]]:
    """Return the seconds from the start of each session to its end and to that of its refresh token."""
    async with database.transaction() as session:
        ages = """
            select extract(epoch from s.expires_at - s.created_at)::float8 as log_in,
                   extract(epoch from t.expires_at - s.created_at)::float8 as token
              from sessions s join refresh_tokens t on t.session_id = s.id and t.spent_at is null"""
        rows = (await session.execute(text(ages))).all()
    return [row.log_in for row in rows], [row.token for row in rows]


async def _refresh(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    return await client.post(f"{API}/auth/refresh", json={"refresh_token": token})


@pytest.fixture
async def ada(world: World) -> Person:
    return await world.person("ada")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Limit sessions to two hours, with an inactivity timeout of 30 days."""
    monkeypatch.setenv("SESSION_SECONDS_MAX", "7200")
    get_settings.cache_clear()
    yield
    monkeypatch.undo()
    get_settings.cache_clear()


async def test_a_refreshed_session_lasts_until_its_absolute_end(ada: Person, database: Database) -> None:
    await _began(database, 89 * DAY)
    pair = data(await _refresh(ada.client, ada.refresh_token))
    await _began(database, 90 * DAY + 1)
    assert refusal(await _refresh(ada.client, pair["refresh_token"]), 401)["code"] == "unauthenticated"


async def test_a_refresh_does_not_extend_the_absolute_end(ada: Person, database: Database) -> None:
    assert await _ends(database) == ([30 * DAY], [30 * DAY])
    await _began(database, 70 * DAY)
    data(await _refresh(ada.client, ada.refresh_token))
    assert await _ends(database) == ([90 * DAY], [90 * DAY - get_settings().access_token_seconds])


async def test_the_last_access_token_does_not_outlive_its_session(ada: Person, database: Database) -> None:
    access = get_settings().access_token_seconds
    await _began(database, 90 * DAY - access - 60)
    pair = data(await _refresh(ada.client, ada.refresh_token))
    await _began(database, 90 * DAY - access + 1)
    assert refusal(await _refresh(ada.client, pair["refresh_token"]), 401)["code"] == "unauthenticated"


async def test_a_session_is_listed_and_can_be_ended_until_its_end(ada: Person, database: Database) -> None:
    await _began(database, 90 * DAY - 60)
    [listed] = data(await ada.get("/me/sessions"))
    data(await ada.delete(f"/me/sessions/{listed['id']}"))
    assert refusal(await ada.get("/me"), 401)["code"] == "unauthenticated"


async def test_a_session_past_its_end_is_neither_listed_nor_ended(ada: Person, database: Database) -> None:
    [listed] = data(await ada.get("/me/sessions"))
    await _began(database, 90 * DAY + 1)
    assert data(await ada.get("/me/sessions")) == []
    refusal(await ada.delete(f"/me/sessions/{listed['id']}"), 404)


@pytest.mark.usefixtures("short")
async def test_a_new_session_expires_at_its_absolute_end(world: World, database: Database) -> None:
    await world.person("eve")
    assert await _ends(database) == ([7200], [7200 - get_settings().access_token_seconds])


async def test_a_shorter_limit_applies_to_existing_sessions(
    ada: Person, database: Database, request: pytest.FixtureRequest
) -> None:
    await _began(database, 7201)
    request.getfixturevalue("short")
    refusal(await _refresh(ada.client, ada.refresh_token), 401)
    assert data(await ada.get("/me/sessions")) == []


@pytest.mark.usefixtures("short")
async def test_sessions_past_their_end_are_deleted(world: World, database: Database) -> None:
    await world.person("eve")
    async with database.transaction() as session:
        older = "update sessions set created_at = created_at - :ago, expires_at = expires_at - :ago"
        await session.execute(text(older.replace(":ago", "interval '7201 seconds'")))
        assert await clean_sessions(session) == 1


@pytest.mark.parametrize("seconds", ["3599", str(365 * DAY + 1), "90d"])
def test_an_invalid_limit_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("SESSION_SECONDS_MAX", seconds)
    with pytest.raises(ConfigurationError, match="SESSION_SECONDS_MAX"):
        load_settings()
