"""Viewers see the current map through outages of Redis and Postgres, and a shutdown of the server."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import Viewer, Watch, show_changes, until
from tests.support.platform import eventually
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import World, refusal
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.embedded.valkey import EmbeddedValkey
from ticketing.infra.system.ports import free_port
from ticketing.modules.realtime import hub
from ticketing.modules.realtime.hub import Hub


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path) as server:
        yield server


@pytest.fixture
def settings(database_url: str, own_valkey: EmbeddedValkey) -> Settings:
    """A Valkey that this test can stop."""
    return get_settings().model_copy(update={"database_url": database_url, "redis_url": own_valkey.url()})


async def test_viewers_are_served_by_polling_without_redis_and_by_frames_with_it(
    app: FastAPI, world: World, watch: Watch, own_valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.2)
    show = await world.show(rows=1, seats=3)
    await show_changes(app)
    buyer = await world.person()
    viewer = await watch(f"/api/v1/events/{show.id}/stream")
    assert (await viewer.next()).data["seats"] == "aaa"
    own_valkey.stop()
    await until(lambda: not app.state.get(Hub).is_live)
    await world.hold(buyer, show, "Stalls-A-1")
    await show_changes(app)  # the frame is lost, and the cursor moves on
    polled = await viewer.next()
    assert (polled.name, polled.data["seats"]) == ("snapshot", "haa")
    late = await watch(f"/api/v1/events/{show.id}/stream")
    assert (await late.next()).data["seats"] == "haa"
    own_valkey.start()
    await until(lambda: app.state.get(Hub).is_live)
    await world.hold(buyer, show, "Stalls-A-2")
    await show_changes(app)
    heard = await viewer.next()
    assert heard.data.get("changes") == [[1, "h"]] or heard.data.get("seats") == "hha"
    await world.hold(buyer, show, "Stalls-A-3")
    await show_changes(app)
    assert (await viewer.next()).data["changes"] == [[2, "h"]]


async def test_a_map_that_cannot_be_read_is_a_503_before_the_first_byte(
    app: FastAPI, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await world.show(rows=1, seats=1)
    path = f"/api/v1/events/{show.id}/stream"
    viewer = await watch(path)
    await viewer.next()

    async def fail(*_: object) -> None:
        raise TimeoutError

    channel = next(iter(app.state.get(Hub)._channels.values()))
    await asyncio.sleep(0.3)
    monkeypatch.setattr(channel, "_load", fail)
    assert (await watch(path)).status == 503
    # An open stream continues, and gets the map when it can be read again.
    channel.jump(channel.position._replace(version=channel.position.version + 1))
    await asyncio.sleep(0.5)
    monkeypatch.undo()
    assert (await viewer.next()).name == "snapshot"


async def test_a_server_that_is_terminated_ends_its_streams_and_stops_at_once(
    app: FastAPI, world: World, settings: Settings
) -> None:
    show = await world.show(rows=1, seats=1)
    async with served(settings) as (port, process):
        viewer = await _open_patiently(port, f"/api/v1/events/{show.id}/stream")
        await viewer.next()
        with pytest.raises(TimeoutError):
            await viewer.next(1)
        process.send_signal(signal.SIGTERM)
        assert [event.name for event in await viewer.rest()] == ["heartbeat"]
        assert len(viewer.retries) == 2
        async with asyncio.timeout(PATIENCE_SECONDS):
            await process.wait()
        viewer.leave()


async def test_a_server_that_drains_is_not_ready_and_takes_requests_until_it_stops(
    app: FastAPI, world: World, settings: Settings
) -> None:
    show = await world.show(rows=1, seats=1)
    path = f"/api/v1/events/{show.id}/stream"
    async with served(settings, SHUTDOWN_DRAIN_SECONDS="120") as (port, process):
        first = await _open_patiently(port, path)
        await first.next()
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client:
            assert (await client.get("/health/ready")).status_code == 200
            process.send_signal(signal.SIGTERM)

            async def is_not_ready() -> bool:
                return (await client.get("/health/ready")).status_code == 503

            await eventually(is_not_ready)
            assert refusal(await client.get("/health"), 503)["code"] == "shutting_down"
            assert (await client.get("/health/live")).status_code == 200
        # On new connections:
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get(f"/api/v1/events/{show.id}")).status_code == 200
        second = await Viewer.open(port, path)
        assert (await second.next()).name == "snapshot"
        process.send_signal(signal.SIGTERM)  # the second signal ends the drain
        for viewer in (first, second):
            assert (await viewer.rest())[-1].name == "heartbeat"
            assert len(viewer.retries) == 2
            viewer.leave()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == 0


@asynccontextmanager
async def served(settings: Settings, **variables: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """A process of the API, which is killed at the end of the block unless it has ended."""
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PORT": str(port),
        **variables,
    }
    command = [sys.executable, "-m", "ticketing.cli", "serve"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield port, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _open_patiently(port: int, path: str) -> Viewer:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return await Viewer.open(port, path)
            except OSError:
                await asyncio.sleep(0.1)
