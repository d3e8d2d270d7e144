"""Responses to HTTP/1.0 requests end with their connection, or with their length, and are never sent in chunks."""

import asyncio
from typing import Any

import pytest

from tests.modules.realtime.live import serve_as_configured
from tests.support.time_limits import PATIENCE_SECONDS

PARTS = [b"one,", b"", b"two,", b"x" * 200_000]
WHOLE = b"".join(PARTS)


async def application(scope: Any, receive: Any, send: Any) -> None:
    """`/stream` sends parts of unknown number, `/known` their length first, and `/broken` fails in the middle."""
    headers = [(b"content-length", b"%d" % len(WHOLE))] if scope["path"] == "/known" else []
    if scope["path"] == "/body":
        await receive()
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in PARTS:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    if scope["path"] == "/broken":
        raise RuntimeError("broken")
    await send({"type": "http.response.body", "body": b""})


async def exchange(port: int, request: str, *headers: str) -> tuple[str, bytes]:
    """Send a request and read until the server closes the connection: its head, in lower case, and its body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([request, *headers, "", ""]).encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head.decode().lower(), body


@pytest.mark.parametrize("path", ["/stream", "/known"])
@pytest.mark.parametrize("connection", ["close", "keep-alive"])
async def test_a_body_arrives_as_it_is_and_ends_with_the_connection(path: str, connection: str) -> None:
    async with serve_as_configured(application) as port:
        head, body = await exchange(port, f"GET {path} HTTP/1.0", f"Connection: {connection}")
    assert body == WHOLE
    assert "transfer-encoding" not in head
    assert "connection: close" in head
    assert ("content-length" in head) == (path == "/known")


async def test_head_gets_no_body() -> None:
    async with serve_as_configured(application) as port:
        head, body = await exchange(port, "HEAD /stream HTTP/1.0")
    assert (body, "transfer-encoding" in head) == (b"", False)


async def test_http_1_1_still_gets_chunks_on_a_connection_that_stays() -> None:
    async with serve_as_configured(application) as port:
        head, body = await exchange(port, "GET /stream HTTP/1.1", "Host: x", "Connection: close")
    assert "transfer-encoding: chunked" in head
    assert body.endswith(b"0\r\n\r\n")


async def test_an_incomplete_body_is_not_taken_for_the_whole() -> None:
    async with serve_as_configured(application) as port:
        with pytest.raises(ConnectionResetError):
            await exchange(port, "GET /broken HTTP/1.0")


async def test_no_interim_response_is_sent() -> None:
    async with serve_as_configured(application) as port:
        head, body = await exchange(port, "POST /body HTTP/1.0", "Content-Length: 0", "Expect: 100-continue")
    assert (head.split("\r\n")[0], body) == ("http/1.1 200 ok", WHOLE)
