"""No route holds a database connection while it waits for the body of its request."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import serve, until
from tests.modules.venues.plans import plan
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, Tenant, World, data
from tests.sweeps.openapi.routes import Route, all_routes
from ticketing.infra.db import Database
from ticketing.infra.http import request_limits

IMPORT = "POST /orgs/{org_id}/venues/import"
PREVIEW = f"{IMPORT}/preview"
IMPORT_VERSION = "POST /orgs/{org_id}/venues/{venue_id}/plans/import"
WEBHOOK = "POST /payments/webhooks/{provider}"
#: Routes that read their body in pieces, and their responses: no such venue, and a webhook that is not signed.
STREAMED = {IMPORT: 201, PREVIEW: 200, IMPORT_VERSION: 404, WEBHOOK: 401}


@dataclass
class WaitingForBodies:
    """ASGI middleware that knows which requests are waiting for a further piece of their body."""

    app: FastAPI
    waiting: set[str] = field(default_factory=set)
    responded: set[str] = field(default_factory=set)

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        name = dict(scope["headers"]).get(b"x-name", b"").decode()

        async def receive_named() -> Any:
            self.waiting.add(name)
            message = await receive()
            self.waiting.discard(name)
            return message

        async def send_named(message: Any) -> None:
            self.responded.add(name)
            await send(message)

        await self.app(scope, receive_named, send_named)


def _head(route: Route, tenant: Tenant, authorization: str, name: str, length: int, key: str) -> bytes:
    path = route.path.replace("{org_id}", tenant.id).replace("{provider}", "mock")
    path = re.sub(r"\{\w+\}", lambda _: str(uuid4()), path) + ("?format=pretix" if "import" in route.name else "")
    headers = {
        "Host": "test",
        "Content-Type": "application/json",
        "Content-Length": str(length),
        "Authorization": authorization,
        "X-Name": name,
        **({"Idempotency-Key": key} if key else {}),
    }
    lines = [f"{route.method} {path} HTTP/1.1", *(f"{header}: {value}" for header, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> int:
    return int((await reader.readline()).split()[1])


async def test_clients_that_send_slowly_hold_no_database_connection(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 2 * PATIENCE_SECONDS)
    tenant = await world.tenant()
    body = orjson.dumps(plan())
    made = data(await tenant.admin.post(tenant.path("/api-keys"), {"name": "key", "role": "ORG_ADMIN"}), 201)
    callers = {"person": f"Bearer {tenant.admin.token}", "key": f"ApiKey {made['key']}"}
    observer, clients = WaitingForBodies(app), {}
    async with serve(observer) as port, AsyncExitStack() as connections:  # type: ignore[arg-type]
        for route in [r for r in all_routes().values() if r.body is not None or r.name == WEBHOOK]:
            for caller, authorization in callers.items():
                for key in ("", uuid4().hex):
                    name = f"{route.name} by {caller}{' with a key' if key else ''}"
                    clients[name] = reader, writer = await connections.enter_async_context(connected(port))
                    writer.write(_head(route, tenant, authorization, name, len(body), key) + body[:10])
        await until(lambda: clients.keys() <= observer.waiting | observer.responded)
        streamed = {name: STREAMED[route] for name in clients if (route := name.partition(" by ")[0]) in STREAMED}
        assert len(streamed) == 4 * len(STREAMED)
        assert streamed.keys() <= observer.waiting - observer.responded
        assert len(observer.waiting) > 100
        pool: Any = app.state.get(Database).engine.pool
        await until(lambda: pool.checkedout() == 0)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}{API}") as client:
            data(await client.get("/events"))
        for name, status in streamed.items():
            reader, writer = clients[name]
            writer.write(body[10:])
            assert await _status(reader) == status


async def test_a_strangers_import_is_refused_before_its_body_is_read(app: FastAPI, world: World) -> None:
    tenant, stranger = await world.tenant(), await world.person()
    route, observer = all_routes()[IMPORT], WaitingForBodies(app)
    callers = {"": 401, "ApiKey tk_00000000_forged": 401, f"Bearer {stranger.token}": 404}
    async with serve(observer) as port:  # type: ignore[arg-type]
        for authorization, status in callers.items():
            async with connected(port) as (reader, writer):
                writer.write(_head(route, tenant, authorization, "", 1_000_000, uuid4().hex))
                assert await _status(reader) == status
