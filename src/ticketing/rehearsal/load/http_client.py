"""A minimal HTTP/1.1 client: a bounded number of keep-alive connections, with one request at a time on each.

The load generator must use little CPU time, since it may share the machine with the platform. A general HTTP client
needs as much per request as the platform needs to response it.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

#: Longer than any response of a healthy platform takes.
RESPONSE_SECONDS = 30.0
CONNECT_SECONDS = 10.0


class NoResponse(Exception):
    """The connection could not be opened, was lost, or there was no response within the timeout."""


class ConnectionLost(NoResponse):
    """The connection was closed before the response was complete."""


@dataclass(slots=True)
class Response:
    """A response. `seconds` counts from the sending of the request; header names are in lower case."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0


class _Connection(asyncio.Protocol):
    """One connection. The parser calls the methods that start with `on_`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._start()

    def _start(self) -> None:
        self._parser, self._response, self._pieces = httptools.HttpResponseParser(self), Response(), list[bytes]()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def request(self, request: bytes) -> Response:
        """Send a request and wait for the complete response. Raises NoResponse."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost("the connection was closed")
        self._start()
        self._waiting = asyncio.get_running_loop().create_future()
        begun = time.perf_counter()
        self._transport.write(request)
        try:
            async with asyncio.timeout(RESPONSE_SECONDS):
                response = await self._waiting
        except TimeoutError:
            raise NoResponse(f"there was no response in {RESPONSE_SECONDS:.0f} s") from None
        response.seconds = time.perf_counter() - begun
        return response

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionLost("the connection was lost"))

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.headers[name.lower()] = value

    def on_body(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self._response.status, self._response.body = self._parser.get_status_code(), b"".join(self._pieces)
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(self._response)


class HttpClient:
    """A bounded pool of connections to one server; close it at the end."""

    def __init__(self, base_url: str, connections: int) -> None:
        parts = urlsplit(base_url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._root, self._name = parts.path.rstrip("/"), parts.netloc.rpartition("@")[2]
        self._limit = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []

    async def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Response:
        """Send one request and return its response. The wait for a free connection is not part of `seconds`.

        Raises:
            NoResponse: see the class; whether the server has processed the request is unknown.
        """
        lines = [f"{method} {self._root}{path} HTTP/1.1", f"Host: {self._name}"]
        if method != "GET":  # like a browser: a GET with this header is unusual
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        request = "\r\n".join([*lines, "", ""]).encode() + body
        async with self._limit:
            return await self._send(request)

    async def _send(self, request: bytes) -> Response:
        if (idle := self._take_idle()) is not None:
            try:
                return await self._send_on(idle, request)
            except ConnectionLost:
                pass  # usually the server has just closed an idle connection, which is no error: retry on a new one
        return await self._send_on(await self._connect(), request)

    async def _send_on(self, connection: _Connection, request: bytes) -> Response:
        try:
            response = await connection.request(request)
        except BaseException:
            connection.close()  # a late response would be taken for that of the next request
            raise
        if connection.is_open:
            self._idle.append(connection)
        return response

    def _take_idle(self) -> _Connection | None:
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
        except OSError as error:  # including TimeoutError
            raise NoResponse(f"no connection ({type(error).__name__})") from None

    def close(self) -> None:
        """Close the idle connections. There must be no request in progress."""
        for connection in self._idle:
            connection.close()
