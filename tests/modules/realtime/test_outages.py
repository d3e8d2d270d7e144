"""Viewers see the current map through outages of Redis and Postgres, and a shutdown of the server."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import Viewer, Watch, show_changes, until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import World
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
    port = free_port()
    environment = os.environ | {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "PORT": str(port),
    }
    command = [sys.executable, "-m", "ticketing.cli", "serve"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.DEVNULL)
    try:
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
