"""A lean HTTP/1.1 client: keep-alive connections, one request at a time on each, and no more of them than were allowed.

A rehearsal measures the platform, so what asks must cost little. A general client costs as much per request as the
platform does per answer.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

#: Longer than the platform takes to answer anything, and shorter than an operator's patience.
ANSWER_SECONDS = 30.0
CONNECT_SECONDS = 10.0


class NoAnswer(Exception):
    """The connection could not be made, broke, or stayed silent."""


class Broken(NoAnswer):
    """The connection was closed before an answer came."""


@dataclass(slots=True)
class Answer:
    """What came back. `seconds` from the moment that the request was sent; names of headers are in lower case."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0


class _Connection(asyncio.Protocol):
    """One connection; its methods with `on_` are called by the parser."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Answer] | None = None
        self._start()

    def _start(self) -> None:
        self._parser, self._answer, self._pieces = httptools.HttpResponseParser(self), Answer(), list[bytes]()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Answer:
        """Send, and wait for the whole answer. Raises NoAnswer."""
        if self._transport is None or self._transport.is_closing():
            raise Broken("the connection was closed")
        self._start()
        self._waiting = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        self._transport.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._waiting
        except TimeoutError:
            raise NoAnswer(f"there was no answer in {ANSWER_SECONDS:.0f} s") from None
        answer.seconds = time.perf_counter() - begun
        return answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Broken("the connection broke"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._answer.status, self._answer.body = self._parser.get_status_code(), b"".join(self._pieces)
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._answer)


class Wire:
    """A bounded set of connections to one server. `await wire.ask(…)`; close it in the end."""

    def __init__(self, base_url: str, connections: int) -> None:
        parts = urlsplit(base_url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._root, self._name = parts.path.rstrip("/"), parts.netloc.rpartition("@")[2]
        self._room = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request and its answer. The wait for a free connection is ours, and is not counted.

        Raises:
            NoAnswer: see the class; whether the request was carried out is not known.
        """
        lines = [f"{method} {self._root}{path} HTTP/1.1", f"Host: {self._name}"]
        if method != "GET":  # as a browser asks, or the platform would take it for something unusual
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        async with self._room:
            return await self._ask(request)

    async def _ask(self, request: bytes) -> Answer:
        if (kept := self._take()) is not None:
            try:
                return await self._ask_on(kept, request)
            except Broken:
                pass  # most often a server that has just closed what was idle: no fault of anybody's, so once more
        return await self._ask_on(await self._connect(), request)

    async def _ask_on(self, connection: _Connection, request: bytes) -> Answer:
        try:
            answer = await connection.ask(request)
        except BaseException:
            connection.close()  # what comes late on it would be taken for another's answer
            raise
        if connection.is_open:
            self._idle.append(connection)
        return answer

    def _take(self) -> _Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self) -> _Connection:
        tls: Any = ssl.create_default_context() if self._tls else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                loop = asyncio.get_running_loop()
                return (await loop.create_connection(_Connection, self._host, self._port, ssl=tls))[1]
        except OSError as error:  # a TimeoutError is one
            raise NoAnswer(f"no connection ({type(error).__name__})") from None

    def close(self) -> None:
        """Close what is idle; nobody may be asking."""
        for connection in self._idle:
            connection.close()
