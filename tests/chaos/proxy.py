"""A TCP proxy that can add latency, reset, refuse or silently drop connections, as a network can."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNK_BYTES = 64 * 1024
#: SO_LINGER with a timeout of zero: closing the socket sends RST instead of FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on loopback and forwards to one server."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        """`connect` opens a connection to the server."""
        self.connect = connect
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        #: Added to every chunk, in each direction.
        self.latency_seconds = 0.0
        #: While cleared, bytes are held back silently; they arrive once it is set, as after a TCP retransmission.
        self.passes = asyncio.Event()
        self.passes.set()
        #: While set, new connections are closed.
        self.is_cut = False

    async def open(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.passes.set()
        self.is_cut = True
        while self.connections:
            self.reset()
            await asyncio.sleep(0.01)

    def reset(self) -> None:
        """Send RST to both ends of every connection."""
        for connection in list(self.connections):
            connection.reset()

    def half_open(self) -> None:
        """Leave every connection half-open: the server side is gone, and the client side gets no notice."""
        for connection in list(self.connections):
            connection.lose_server()

    def cut(self) -> None:
        """Reset all connections, and refuse new ones."""
        self.is_cut = True
        self.reset()

    def restore(self) -> None:
        self.is_cut, self.latency_seconds = False, 0.0
        self.passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, (reader, writer))
        self.connections.add(connection)
        try:
            if self.is_cut:
                return
            await self.passes.wait()
            connection.far = await self.connect()
            await connection.forward()
        except OSError:
            return
        finally:
            connection.reset()
            self.connections.discard(connection)


class _Connection:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, near: Streams) -> None:
        self._proxy, self.near = proxy, near
        self.far: Streams | None = None
        self._is_half_open = False
        self._lost = asyncio.Event()

    async def forward(self) -> None:
        assert self.far is not None
        directions = [
            asyncio.create_task(self._forward(self.near[0], self.far[1])),
            asyncio.create_task(self._forward(self.far[0], self.near[1])),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            if self._is_half_open:
                await self._lost.wait()
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if self._is_half_open:
                    continue
                if self._proxy.latency_seconds:
                    await asyncio.sleep(self._proxy.latency_seconds)
                await self._proxy.passes.wait()
                sink.write(chunk)
                await sink.drain()

    def lose_server(self) -> None:
        self._is_half_open = True
        if self.far is not None:
            _abort(self.far[1])

    def reset(self) -> None:
        self._lost.set()
        for streams in (self.near, self.far):
            if streams is not None:
                _abort(streams[1])


def _abort(writer: asyncio.StreamWriter) -> None:
    if (end := writer.get_extra_info("socket")) is not None and end.family == socket.AF_INET:
        with suppress(OSError):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    writer.transport.abort()
