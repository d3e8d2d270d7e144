"""A server or pooler that the platform cannot work with is refused with a sentence, and readiness says no."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from tests.infra.db.transaction_pooler import LIMITS, behind, set_limits, transaction_pooler
from tests.support.world import refusal
from ticketing.infra.config import Settings
from ticketing.infra.db import server_requirements
from ticketing.infra.db.server_requirements import UnsupportedServer, check_server
from ticketing.infra.embedded.postgres import EmbeddedPostgres
from ticketing.main import create_app


async def check(url: str, prepare_threshold: int = 5) -> bool:
    return await asyncio.to_thread(check_server, "DATABASE_URL", url, prepare_threshold)


@pytest.fixture
async def pooled(settings: Settings, postgres: EmbeddedPostgres) -> AsyncIterator[Settings]:
    """Settings with both URLs behind a pooler in transaction mode."""
    async with transaction_pooler(postgres.port) as port:
        yield behind(settings, port)


async def test_a_server_without_a_pooler_is_accepted(settings: Settings) -> None:
    assert await check(settings.database_url)


async def test_an_older_server_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_requirements, "VERSION_MIN", 99)
    with pytest.raises(UnsupportedServer, match=r"DATABASE_URL: is PostgreSQL \d+; 99 or later is needed"):
        await check(settings.database_url)


async def test_a_server_that_is_down_is_not_refused() -> None:
    assert not await check("postgresql+psycopg://nobody@127.0.0.1:1/nothing")


async def test_a_pooler_that_drops_the_limits_is_refused(pooled: Settings, database_url: str) -> None:
    with pytest.raises(UnsupportedServer, match=r"alter role ticketing_app in database .* set statement_timeout"):
        await check(pooled.database_url, 0)
    set_limits(database_url, LIMITS[0], LIMITS[1])
    with pytest.raises(UnsupportedServer, match="drops the parameter"):
        await check(pooled.database_url.replace("_app", "_worker"), 0)


async def test_a_pooler_in_transaction_mode_is_refused_unless_nothing_is_prepared(
    pooled: Settings, database_url: str
) -> None:
    set_limits(database_url, *LIMITS)
    with pytest.raises(UnsupportedServer, match="DATABASE_PREPARE_THRESHOLD=0"):
        await check(pooled.database_url)
    assert await check(pooled.database_url, 0)


async def test_readiness_refuses_a_pooler_that_came_after_the_start(pooled: Settings, database_url: str) -> None:
    set_limits(database_url, *LIMITS)
    app = create_app(pooled.model_copy(update={"database_prepare_threshold": 5}))
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            response = await client.get("/health/ready")
    refusal(response, 503)
    assert response.json()["data"]["checks"]["database"]["details"]["error"] == "unsupported_server"
