"""Long polls over real sockets: they end when the client disconnects and when the process shuts down."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI

from tests.modules.realtime import live
from tests.modules.realtime.live import until
from tests.support.world import API, Tenant, World
from ticketing.infra.http import server as http_server
from ticketing.infra.system.ports import listen
from ticketing.modules.webhooks.feed.long_poll import LongPoll


class Server(live.Server, http_server._Server):
    """The platform's server, without its signal handlers."""


@asynccontextmanager
async def serve(app: FastAPI) -> AsyncIterator[tuple[Server, int]]:
    with listen("127.0.0.1", 0) as listener:
        server = Server(http_server.configure(app, loop="none", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        yield server, listener.getsockname()[1]
        server.should_exit = True
        await running
    gc.unfreeze()
    gc.set_threshold(700, 10, 10)


async def start_long_poll(port: int, tenant: Tenant) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Read the feed to its end, and send a request that waits there."""
    cursor = (await tenant.admin.get(tenant.path("/feed?limit=100"))).json()["meta"]["next_cursor"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    path = f"{API}{tenant.path('/feed')}?wait=25&cursor={cursor}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tenant.admin.token}\r\n\r\n".encode())
    return reader, writer


async def test_a_disconnect_ends_the_long_poll(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    async with serve(app) as (_, port):
        _, writer = await start_long_poll(port, tenant)
        await until(lambda: app.state.get(LongPoll).waiting == 1)
        writer.close()
        await until(lambda: app.state.get(LongPoll).waiting == 0)


async def test_a_process_that_shuts_down_answers_its_long_polls(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = await world.tenant()
    async with serve(app) as (server, port):
        reader, writer = await start_long_poll(port, tenant)
        await until(lambda: app.state.get(LongPoll).waiting == 1)
        started = time.monotonic()
        server.should_exit = True
        response = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    assert response.startswith(b"HTTP/1.1 200 ")
    assert b'"next_cursor"' in response
    assert time.monotonic() - started < 20  # less than the 25 s that it would have waited
