"""A connection pooler in transaction mode that behaves as PgBouncer before 1.21, as far as its clients can tell.

A client keeps a server connection for one transaction, and takes the one that was released last. Prepared statements
are not tracked, and the parameter `options` is dropped. The server must not require a password.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from sqlalchemy.engine import make_url

from ticketing.infra.config import Settings

#: What the platform sends as `options`, by database.
LIMITS = ("statement_timeout = 6000", "transaction_timeout = 8000", "idle_in_transaction_session_timeout = 6000")

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def transaction_pooler(server_port: int) -> AsyncIterator[int]:
    """Yields the port of a pooler for the server at `server_port`."""
    idle: dict[bytes, list[Streams]] = {}
    clients: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        task.add_done_callback(clients.discard)
        client = _Client(reader, writer, idle, server_port)
        with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            await client.run()
        client.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        for _, writer in (streams for pool in idle.values() for streams in pool):
            writer.close()


def behind(settings: Settings, port: int) -> Settings:
    """The settings with both URLs behind a pooler, and without prepared statements."""
    urls = {
        name: make_url(getattr(settings, name)).set(port=port).render_as_string(hide_password=False)
        for name in ("database_url", "worker_database_url")
    }
    return settings.model_copy(update={**urls, "database_prepare_threshold": 0})


def set_limits(database_url: str, *settings: str) -> None:
    """Set what the dropped `options` would have set, for everyone in this database."""
    url = make_url(database_url)
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        for setting in settings:
            connection.execute(f"alter database {url.database} set {setting}".encode())


class _Client:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        idle: dict[bytes, list[Streams]],
        server_port: int,
    ) -> None:
        self._reader, self._writer, self._all_idle, self._port = reader, writer, idle, server_port
        self._server: Streams | None = None
        self._pump: asyncio.Task[None] | None = None
        #: Responses that end with ReadyForQuery and have not come yet.
        self._pending = 0

    async def run(self) -> None:
        self._startup = await self._read_startup()
        self._idle = self._all_idle.setdefault(self._startup, [])
        server, greeting = await self._connect()
        self._idle.append(server)
        self._writer.write(greeting)
        while (message := await _message(self._reader))[:1] != b"X":
            if self._server is None:
                self._server = self._idle.pop() if self._idle else (await self._connect())[0]
                self._pump = asyncio.ensure_future(self._pass_responses(*self._server))
            self._pending += message[:1] in (b"Q", b"S")
            self._server[1].write(message)

    async def _pass_responses(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            message = await _message(reader)
            self._writer.write(message)
            self._pending -= message[:1] == b"Z"
            if message[:1] == b"Z" and message[5:] == b"I" and not self._pending:
                self._server = None
                self._idle.append((reader, writer))
                return

    async def _read_startup(self) -> bytes:
        """The startup message for the server: the client's user and database, without any other parameter."""
        while True:
            body = await self._reader.readexactly(struct.unpack("!I", await self._reader.readexactly(4))[0] - 4)
            if struct.unpack("!I", body[:4])[0] not in (SSL_REQUEST, GSS_REQUEST):
                break
            self._writer.write(b"N")
        words = body[4:].split(b"\0")
        given = dict(zip(words[::2], words[1::2], strict=False))
        kept = b"".join(name + b"\0" + given[name] + b"\0" for name in (b"user", b"database"))
        return struct.pack("!II", len(kept) + 9, 3 << 16) + kept + b"\0"

    async def _connect(self) -> tuple[Streams, bytes]:
        server = await asyncio.open_connection("127.0.0.1", self._port)
        server[1].write(self._startup)
        greeting = b""
        while (message := await _message(server[0]))[:1] != b"Z":
            greeting += message
        return server, greeting + message

    def close(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
        if self._server is not None:
            self._server[1].close()
        self._writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
