"""Liveness, readiness and the checks of each dependency, with the dependency up, down and hanging."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from tests.support.machine import stretched
from tests.support.silent_server import silent_server
from tests.support.world import data, refusal
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.outbox.reader import LogReader
from ticketing.main import create_app
from ticketing.modules.health import monitor

UNREACHABLE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"


@pytest.fixture(autouse=True)
def _uncached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "CACHE_SECONDS", 0)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    async with silent_server() as port:
        yield port


async def respond(settings: Settings, path: str) -> tuple[httpx2.Response, float]:
    """The response of a process with these settings, and the seconds it took."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            started = time.perf_counter()
            response = await client.get(path)
            return response, time.perf_counter() - started


async def read_log(database: Database) -> None:
    """Have a consumer read the log now."""
    reader = LogReader(database, "orders", "test")
    assert await reader.acquire()
    await reader.read()


async def test_a_process_that_responds_is_live(client: httpx2.AsyncClient) -> None:
    assert data(await client.get("/health/live")) == {"status": "alive"}


@pytest.mark.parametrize("path", ["/health/ready", "/health"])
async def test_a_healthy_process_is_ready(client: httpx2.AsyncClient, app: FastAPI, path: str) -> None:
    await read_log(app.state.worker_database)
    found = data(await client.get(path))
    assert found["status"] == "ready"
    assert {name: check["status"] for name, check in found["checks"].items()} == dict.fromkeys(
        ["database", "migrations", "cache", "bus"], "ok"
    )
    assert found["checks"]["migrations"]["details"]["current"] == found["checks"]["migrations"]["details"]["newest"]
    assert all(check["latency_ms"] >= 0 for check in found["checks"].values())


@pytest.mark.parametrize("path", ["/health/db", "/health/cache", "/health/bus"])
async def test_each_dependency_has_its_own_endpoint(client: httpx2.AsyncClient, app: FastAPI, path: str) -> None:
    await read_log(app.state.worker_database)
    assert data(await client.get(path))["status"] == "ok"


async def test_without_postgres_the_process_is_not_ready(settings: Settings) -> None:
    down = settings.model_copy(update={"database_url": UNREACHABLE})
    response, seconds = await respond(down, "/health/ready")
    assert refusal(response, 503)["code"] == "dependency_down"
    found = response.json()["data"]
    assert (found["status"], found["checks"]["database"]["status"]) == ("not_ready", "down")
    assert found["checks"]["cache"]["status"] == "ok"
    assert "127.0.0.1" not in response.text
    assert seconds < stretched(3)
    assert (await respond(down, "/health/db"))[0].status_code == 503
    assert (await respond(down, "/health/live"))[0].status_code == 200
    assert (await respond(down, "/metrics"))[0].status_code == 200


@pytest.mark.usefixtures("product_time_limits")
async def test_a_postgres_that_hangs_times_out_after_two_seconds(settings: Settings, silent_port: int) -> None:
    hangs = settings.model_copy(update={"database_url": f"postgresql+psycopg://nobody@127.0.0.1:{silent_port}/x"})
    response, seconds = await respond(hangs, "/health/ready")
    assert response.status_code == 503
    assert 1.5 < seconds < stretched(4)


async def test_without_redis_the_process_is_degraded_and_ready(settings: Settings) -> None:
    down = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    response, _ = await respond(down, "/health/ready")
    found = data(response)
    assert (found["status"], found["checks"]["cache"]["status"]) == ("degraded", "degraded")
    assert (await respond(down, "/health/cache"))[0].status_code == 503


async def test_silent_readers_are_reported(client: httpx2.AsyncClient, app: FastAPI) -> None:
    assert (await client.get("/health/bus")).status_code == 503  # the log has no reader yet
    await read_log(app.state.worker_database)
    async with app.state.worker_database.transaction() as session:
        await session.execute(text("update outbox_cursor set updated_at = now() - interval '1 minute'"))
    response = await client.get("/health/bus")
    refusal(response, 503)
    assert response.json()["data"]["details"] == {"transport": "log", "readers": 1, "silent": ["orders"]}
    assert data(await client.get("/health/ready"))["status"] == "degraded"


async def test_an_unreachable_broker_is_reported_and_the_process_stays_ready(settings: Settings) -> None:
    distributed = settings.model_copy(update={"kafka_bootstrap_servers": "127.0.0.1:1"})
    response, seconds = await respond(distributed, "/health/ready")
    assert data(response)["checks"]["bus"]["status"] == "degraded"
    assert seconds < stretched(8), "a client of Kafka waits a minute by itself"


@pytest.mark.parametrize(("version", "status"), [("0001", 503), ("", 503), ("from a later release", 200)])
async def test_a_schema_behind_the_code_is_not_ready_and_one_ahead_is(
    client: httpx2.AsyncClient, app: FastAPI, version: str, status: int
) -> None:
    async with app.state.owner_database.transaction() as session:
        change = "update alembic_version set version_num = :version" if version else "delete from alembic_version"
        await session.execute(text("alter table alembic_version alter version_num type text"))
        await session.execute(text(change), {"version": version} if version else {})
    assert (await client.get("/health/ready")).status_code == status


async def test_concurrent_probes_run_one_check(
    client: httpx2.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "CACHE_SECONDS", 5)
    asked = 0
    ask = monitor.run_check

    async def count(*arguments: object) -> object:
        nonlocal asked
        asked += 1
        return await ask(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(monitor, "run_check", count)
    await asyncio.gather(*(client.get("/health/db") for _ in range(20)))
    await client.get("/health/db")
    assert asked == 1


async def test_metrics_are_prometheus_text(client: httpx2.AsyncClient) -> None:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert 'ticketing_db_pool_connections{state="in_use"}' in response.text
    assert "ticketing_sse_streams" in response.text


async def test_metrics_of_one_second_are_rendered_once(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "CACHE_SECONDS", 60)
    rendered: list[threading.Thread] = []

    def render() -> bytes:
        rendered.append(threading.current_thread())
        return b"x 1\n"

    monkeypatch.setattr(monitor.metrics, "render", render)
    await asyncio.gather(*(client.get("/metrics") for _ in range(10)))
    assert len(rendered) == 1
    assert rendered[0] is not threading.main_thread(), "rendering must not delay other requests"


@pytest.mark.parametrize(
    ("environment", "token", "sent", "is_operator"),
    [
        ("development", "", "", True),
        ("production", "", "", False),
        ("production", "", "Bearer ", False),
        ("development", "a-long-token", "", False),
        ("development", "a-long-token", "Bearer a-long-toke", False),
        ("development", "a-long-token", "Basic a-long-token", False),
        ("development", "a-long-token", "Bearer a-long-token", True),
        ("production", "a-long-token", "Bearer a-long-token", True),
    ],
)
async def test_metrics_and_subjects_of_alerts_need_the_operations_token(
    client: httpx2.AsyncClient, app: FastAPI, environment: str, token: str, sent: str, is_operator: bool
) -> None:
    changed = {"environment": environment, "operations_token": SecretStr(token)}
    app.state.provide(app.state.get(Settings).model_copy(update=changed))
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("delete from outbox_cursor"))
    headers = {"Authorization": sent} if sent else {}
    response = await client.get("/metrics", headers=headers)
    assert response.status_code == (200 if is_operator else 401)
    alerts = (await client.get("/health/alerts", headers=headers)).json()["data"]["alerts"]
    assert {alert["name"] for alert in alerts} >= {"outbox_lag", "dead_letters"}
    assert any(alert["subject"] for alert in alerts) <= is_operator
