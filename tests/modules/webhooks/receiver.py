"""A webhook receiver: a real HTTP server that verifies signatures with the library and sends configured responses."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from standardwebhooks import Webhook, WebhookVerificationError

Writer = asyncio.StreamWriter
#: Writes a response as raw bytes, for slow and invalid ones.
Respond = Callable[[Writer], Awaitable[None]]
OK = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


def http_response(status: int, body: bytes = b"", **headers: str) -> bytes:
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body


@dataclass
class ReceivedRequest:
    """A request that the receiver got."""

    headers: dict[str, str]
    body: str
    path: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        read: dict[str, Any] = orjson.loads(self.body)
        return read

    def is_signed_with(self, secret: str) -> bool:
        try:
            Webhook(secret).verify(self.body, self.headers)
        except WebhookVerificationError:
            return False
        return True


@dataclass
class Receiver:
    """Records requests. Sends the next of `responses`, and `default_response` when there are none left."""

    port: int = 0
    requests: list[ReceivedRequest] = field(default_factory=list)
    responses: list[bytes | Respond] = field(default_factory=list)
    default_response: bytes | Respond = OK
    open_connections: int = 0
    max_open_connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def types(self) -> list[str]:
        return [request.message["type"] for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.open_connections += 1
        self.max_open_connections = max(self.max_open_connections, self.open_connections)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
            body = (await reader.readexactly(int(headers["content-length"]))).decode()
            self.requests.append(ReceivedRequest(headers, body, head[0].split()[1]))
            response = self.responses.pop(0) if self.responses else self.default_response
            if isinstance(response, bytes):
                writer.write(response)
                await writer.drain()
            else:
                await response(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self.open_connections -= 1
            writer.close()


@asynccontextmanager
async def start_receiver(ssl: Any = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=ssl)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
