"""No route and no page sends chunks to a client of HTTP/1.0, whether it succeeds or not."""

import asyncio
from collections.abc import Mapping
from uuid import uuid4

from fastapi import FastAPI

from tests.modules.realtime.live import serve_as_configured, until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import Call, build_call, examples_of
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import STREAM, all_routes
from ticketing.modules.realtime.hub import Hub

#: Pages, files and errors, which are not in the document.
OTHERS = ("/", "/nothing", "/docs", "/openapi.json", "/static-docs/start.js", "/favicon.ico", f"{API}/x", f"{API}/me")
#: An event that never comes: the stream does not end by itself.
FIRST_EVENT = b"\n\n"


async def exchange(port: int, path: str, headers: Mapping[str, str], *, is_endless: bool = False) -> tuple[str, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.0", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await (reader.readuntil(FIRST_EVENT) if is_endless else reader.read())
    writer.transport.abort()
    return head.decode().lower(), body


def problems(path: str, head: str, body: bytes) -> list[str]:
    names = dict(line.split(": ", 1) for line in head.strip().split("\r\n")[1:])
    found = [f"{path} has {name}" for name in ("transfer-encoding",) if name in names]
    if names.get("connection") != "close":
        found.append(f"{path} leaves the connection open")
    if "content-length" in names and len(body) != int(names["content-length"]):
        found.append(f"{path} has {len(body)} bytes instead of {names['content-length']}")
    if body[:1].isdigit() and b"\r\n" in body[:8]:
        found.append(f"{path} begins with the length of a chunk: {body[:40]!r}")
    return found


async def test_every_read_gets_a_body_without_chunks(app: FastAPI, tenant: FullTenant) -> None:
    await until(lambda: app.state.get(Hub).is_live)
    found: list[str] = []
    async with serve_as_configured(app) as port:
        for name in [name for name in all_routes() if name.startswith("GET ")]:
            call = await build_call(next(examples_of(name)), tenant)
            head, body = await exchange(port, _target(call), _headers(call), is_endless=name == STREAM)
            assert " 200 ok\r\n" in head, (name, head, body[:200])
            found += problems(name, head, body)
            assert body, name
    assert found == []


async def test_pages_files_and_errors_get_a_body_without_chunks(app: FastAPI, tenant: FullTenant) -> None:
    event = f"{API}/events/{tenant.show.id}"
    lost = f"{API}/events/{uuid4()}"
    etag = {"If-None-Match": "*"}
    found: list[str] = []
    async with serve_as_configured(app) as port:
        for path in (*OTHERS, f"/events/{tenant.show.id}", lost, f"{lost}/stream", f"{event}/seats?limit=x"):
            found += problems(path, *await exchange(port, path, {"Connection": "keep-alive"}))
        # Compressed, and unchanged.
        found += problems(event, *await exchange(port, f"{event}/seatmap", {"Accept-Encoding": "gzip"}))
        head, body = await exchange(port, f"{event}/seatmap", etag)
        assert (head.split("\r\n")[0], body) == ("http/1.1 304 not modified", b"")
        found += problems(event, head, body)
    assert found == []


def _target(call: Call) -> str:
    query = "&".join(f"{name}={value.replace('@', '%40')}" for name, value in call.query.items())
    return f"{call.path}?{query}" if query else call.path


def _headers(call: Call) -> dict[str, str]:
    return {"Authorization": f"Bearer {call.caller.token}"} if call.caller else {}
