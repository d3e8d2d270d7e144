"""Viewers over real sockets: an in-process transport buffers a stream until it has ended."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis

from tests.support.time_limits import PATIENCE_SECONDS
from ticketing.infra.http import server as http_server
from ticketing.infra.outbox.reader import LogReader
from ticketing.infra.system.ports import listen
from ticketing.modules.realtime import SeatFrames


class Server(uvicorn.Server):
    """A server that does not install signal handlers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serve(app: FastAPI, send_buffer_bytes: int | None = None) -> AsyncIterator[int]:
    """Serve a started app on a free port; yields the port."""
    listener = socket.socket()
    if send_buffer_bytes is not None:  # inherited by each connection
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    listener.bind(("127.0.0.1", 0))
    async with _served(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none"), listener):
        yield listener.getsockname()[1]


@asynccontextmanager
async def serve_as_configured(app: Any) -> AsyncIterator[int]:
    """As `serve`, with the server of `ticketing serve`."""
    listener = listen("127.0.0.1", 0)
    async with _served(http_server.configure(app, loop="none", lifespan="off"), listener):
        yield listener.getsockname()[1]


@asynccontextmanager
async def _served(config: uvicorn.Config, listener: socket.socket) -> AsyncIterator[None]:
    server = Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        await running
        listener.close()


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    id: str
    data: dict[str, Any]


class Viewer:
    """A minimal EventSource client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.status, self.headers = 0, ""
        self.retries: list[int] = []
        #: The connection was cut before the end of the stream.
        self.is_cut = False
        self._text = b""

    @classmethod
    async def open(cls, port: int, path: str, **headers: str) -> "Viewer":
        viewer = cls(*await asyncio.open_connection("127.0.0.1", port))
        lines = [f"GET {path} HTTP/1.1", "Host: test", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
        viewer.writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await viewer._reader.readuntil(b"\r\n\r\n")).decode()
        viewer.status, viewer.headers = int(head.split()[1]), head.lower()
        return viewer

    async def next(self, seconds: float = PATIENCE_SECONDS, *, skip: str = "heartbeat") -> Event:
        """The next event. Raises TimeoutError, and EOFError at the end of the stream."""
        async with asyncio.timeout(seconds):
            while True:
                event = _parse(await self._block())
                if "retry" in event:
                    self.retries.append(int(event["retry"]))
                # As client libraries do that dispatch an event for every block: each has to be complete.
                if event["event"] != skip:
                    return Event(event["event"], event["id"], orjson.loads(event["data"]))

    async def rest(self, seconds: float = PATIENCE_SECONDS) -> list[Event]:
        """Everything up to the end of the stream."""
        events = []
        try:
            while True:
                events.append(await self.next(seconds, skip=""))
        except EOFError as end:
            self.is_cut = isinstance(end, asyncio.IncompleteReadError)
            return events

    async def _block(self) -> str:
        while b"\n\n" not in self._text:
            size = int(await self._reader.readuntil(b"\r\n"), 16)
            chunk = (await self._reader.readexactly(size + 2))[:-2]
            if not chunk:
                raise EOFError
            self._text += chunk
        block, _, self._text = self._text.partition(b"\n\n")
        return block.decode()

    def leave(self) -> None:
        """Abort the connection, as a phone that is switched off."""
        self.writer.transport.abort()


#: Opens a viewer of a path.
Watch = Callable[..., Awaitable[Viewer]]


def _parse(block: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in block.split("\n"))


async def show_changes(app: FastAPI) -> None:
    """Publish the frames of all messages in the log, as the consumers would."""
    database = app.state.worker_database
    frames, reader = SeatFrames(app.state.get(Redis)), LogReader(database, "realtime", "test")
    assert await reader.acquire()
    while page := await reader.read():
        await frames.consume(database, page)
        await reader.advance(page[-1].log_id)


async def until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the condition is true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)
