"""A client that does not read its response is disconnected; one that reads slowly is not."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI, Response
from fastapi.responses import StreamingResponse

from tests.modules.realtime.live import Server, until
from ticketing.infra.http import send_timeout
from ticketing.infra.http import server as http_server
from ticketing.infra.system.ports import listen

MIB = 2**20
SIZE = 16 * MIB

app = FastAPI()


@app.get("/whole")
async def whole() -> Response:
    return Response(bytes(SIZE))


@app.get("/parts")
async def parts() -> StreamingResponse:
    async def produce() -> AsyncIterator[bytes]:
        for _ in range(SIZE // MIB):
            yield bytes(MIB)

    return StreamingResponse(produce())


@asynccontextmanager
async def requested(path: str) -> AsyncIterator[tuple[Server, socket.socket]]:
    """A server, and a connection with a small buffer that has sent a request."""
    with listen("127.0.0.1", 0) as listener, socket.socket() as client:
        server = Server(http_server.configure(app, lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, listener.getsockname())
        await loop.sock_sendall(client, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await until(lambda: bool(server.server_state.connections))
        try:
            yield server, client
        finally:
            server.force_exit = server.should_exit = True
            await running


@pytest.mark.parametrize("path", ["/whole", "/parts"])
@pytest.mark.parametrize("bytes_read", [0, 1024])
async def test_a_client_that_reads_nothing_or_little_is_disconnected(
    monkeypatch: pytest.MonkeyPatch, path: str, bytes_read: int
) -> None:
    monkeypatch.setattr(send_timeout, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(send_timeout, "SEND_BYTES_MIN", SIZE)
    async with requested(path) as (server, client):
        if bytes_read:
            await asyncio.get_running_loop().sock_recv(client, bytes_read)
        await until(lambda: not server.server_state.connections and not server.server_state.tasks)


class Transport(asyncio.Transport):
    """A transport whose unsent bytes are these at each look."""

    def __init__(self, *unsent_bytes: int) -> None:
        super().__init__()
        self.unsent_bytes = list(unsent_bytes)
        self.is_aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes.pop(0)

    def abort(self) -> None:
        self.is_aborted.set()


async def test_a_connection_is_closed_after_the_first_period_without_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_timeout, "SEND_SECONDS", 0)
    # Each period has two looks: at its beginning and at its end.
    transport = Transport(90_000, 70_000, 70_000, 50_000, 50_000, 50_000 - send_timeout.SEND_BYTES_MIN + 1, 1, 0)
    send_timeout.SendTimeout(transport).start()
    await asyncio.wait_for(transport.is_aborted.wait(), 60)
    assert transport.unsent_bytes == [1, 0]


async def test_a_connection_that_drains_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_timeout, "SEND_SECONDS", 0)
    transport = Transport(90_000)
    timeout = send_timeout.SendTimeout(transport)
    timeout.start()
    timeout.stop()
    await asyncio.sleep(0.01)
    assert not transport.is_aborted.is_set()
