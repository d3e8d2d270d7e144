"""A stopping server answers requests that were already in transit, and an idle one keeps its connections."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import Server, until
from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra.config import Settings
from ticketing.infra.http import server as http_server
from ticketing.infra.system.ports import listen

REQUEST = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"


@asynccontextmanager
async def kept_open() -> AsyncIterator[tuple[Server, asyncio.StreamReader, asyncio.StreamWriter]]:
    """A server, and a keep-alive connection to it after one response."""
    with listen("127.0.0.1", 0) as listener:
        server = Server(http_server.configure(FastAPI(), loop="none", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.getsockname()[1])
        writer.write(REQUEST)
        await reader.readuntil(b'{"detail":"Not Found"}')
        yield server, reader, writer
        writer.close()
        server.should_exit = server.force_exit = True
        await running


async def _told_to_stop(server: Server) -> None:
    server.should_exit = True
    await until(lambda: all(connection.is_ending for connection in server.server_state.connections))


async def test_a_request_in_transit_at_shutdown_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "LAST_REQUEST_SECONDS", 60.0)
    async with kept_open() as (server, reader, writer):
        await _told_to_stop(server)
        writer.write(REQUEST)
        answer = await asyncio.wait_for(reader.read(), 10)  # to the end: the connection is closed behind it
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"connection: close" in answer.lower()


async def test_a_stopping_server_does_not_wait_for_an_idle_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "LAST_REQUEST_SECONDS", 0.05)
    async with kept_open() as (server, reader, _):
        await _told_to_stop(server)
        assert await asyncio.wait_for(reader.read(), 4) == b""  # before uvicorn's own five seconds for idle ones


async def test_an_idle_connection_outlives_the_limit_of_a_load_balancer() -> None:
    async with kept_open() as (server, _, writer):
        (connection,) = server.server_state.connections
        closes_in = connection.timeout_keep_alive_task.when() - asyncio.get_running_loop().time()
        assert 60 < closes_in <= 75
        assert not writer.is_closing()


async def test_a_drain_ends_by_itself(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    drained = app.state.get(Settings).model_copy(update={"shutdown_drain_seconds": 0.3})
    app.state.provide(drained)
    with listen("127.0.0.1", 0) as listener:
        server = http_server._Server(http_server.configure(app, loop="none", lifespan="off"))
        monkeypatch.setattr(server, "capture_signals", nullcontext)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        server.handle_exit(signal.SIGTERM, None)
        began = time.monotonic()
        assert (app.state.get(http_server.Shutdown).is_draining, server.should_exit) == (True, False)
        await asyncio.wait_for(running, PATIENCE_SECONDS)
        assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "no drain"])
async def test_without_a_drain_a_signal_stops_at_once(app: FastAPI, number: signal.Signals) -> None:
    seconds = 60 if number == signal.SIGINT else 0
    app.state.provide(app.state.get(Settings).model_copy(update={"shutdown_drain_seconds": seconds}))
    server = http_server._Server(http_server.configure(app, loop="none", lifespan="off"))
    server.config.load()
    server.handle_exit(number, None)
    assert server.should_exit
