"""A wire between two parts that can be made slow, cut, or silent, as a network can."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
CHUNK_BYTES = 64 * 1024
#: With this, closing a socket sends RST and not FIN.
_AT_ONCE = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on loopback and passes bytes on, as long as nothing is wrong with the wire."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        """`connect` opens a connection to the part behind the wire."""
        self._connect = connect
        self._wires: set[_Wire] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        #: Seconds that every chunk is late, in each direction.
        self.latency_seconds = 0.0
        #: Nothing gets through and nobody is told; what was sent arrives when it is set again, as TCP sends it anew.
        self.passes = asyncio.Event()
        self.passes.set()
        #: Whoever wants to connect is refused.
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
        while self._wires:
            self.reset()
            await asyncio.sleep(0.01)

    def reset(self) -> None:
        """Both ends of every connection are told that it is gone (RST)."""
        for wire in list(self._wires):
            wire.reset()

    def forget_clients(self) -> None:
        """Half-open: what is behind the wire is gone, and those who are connected to it never hear of it."""
        for wire in list(self._wires):
            wire.lose_far_end()

    def cut(self) -> None:
        """Nobody is there: connections are reset, and new ones too."""
        self.is_cut = True
        self.reset()

    def mend(self) -> None:
        self.is_cut, self.latency_seconds = False, 0.0
        self.passes.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = _Wire(self, (reader, writer))
        self._wires.add(wire)
        try:
            if self.is_cut:
                return
            await self.passes.wait()
            wire.far = await self._connect()
            await wire.carry()
        except OSError:
            return
        finally:
            wire.reset()
            self._wires.discard(wire)


class _Wire:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, near: Streams) -> None:
        self._proxy, self.near = proxy, near
        self.far: Streams | None = None
        self._is_half_open = False
        self._lost = asyncio.Event()

    async def carry(self) -> None:
        assert self.far is not None
        ways = [
            asyncio.create_task(self._carry(self.near[0], self.far[1])),
            asyncio.create_task(self._carry(self.far[0], self.near[1])),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if self._is_half_open:
                await self._lost.wait()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await source.read(CHUNK_BYTES):
                if self._is_half_open:
                    continue
                if self._proxy.latency_seconds:
                    await asyncio.sleep(self._proxy.latency_seconds)
                await self._proxy.passes.wait()
                sink.write(chunk)
                await sink.drain()

    def lose_far_end(self) -> None:
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
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    writer.transport.abort()
