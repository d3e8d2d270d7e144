"""The route table and the prepared routes respond as the framework does, to whatever is sent to any route.

The same requests go to two applications on the same database: the one that runs in production, and one without the
table whose routes have the framework's own handlers.
"""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from tests.support.world import API
from tests.sweeps.calls import (  # noqa: F401 (imported to register the examples)
    mail_tokens,
    organization,
    privacy,
    reads,
    sale,
    second_factor,
    sessions,
    webhooks,
)
from tests.sweeps.calls.call import Call, build_call, examples_of
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import STREAM, Route, all_routes, each_route
from ticketing.infra.config import Settings
from ticketing.infra.http.routing import RouteTable, prepared_route
from ticketing.main import create_app

#: They differ between two requests to the same application as well.
VARYING = {"x-correlation-id", "ratelimit-remaining", "ratelimit-reset", "date"}
#: Paths whose bodies contain a time.
TIMED = ("/health", "/metrics", f"{API}/me/export")
NO_ID, JSON = str(uuid4()), {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def framework(settings: Settings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an application that does not use the short way."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepared_route, "make_plan", lambda _: None)
        app = create_app(settings)
        app.user_middleware = [each for each in app.user_middleware if each.cls is not RouteTable]
        # Handlers are made when a router's routes are first needed.
        assert len(list(iter_route_contexts(app.routes))) > 100
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with app.router.lifespan_context(app), httpx2.AsyncClient(transport=transport, base_url="http://test") as it:
        yield it


Request = tuple[str, str, dict[str, str], bytes]


def spoiled(call: Call) -> Iterator[Request]:
    """The call with one thing wrong at a time. Nothing of it changes anything, whoever executes it."""
    path, body = call.path, call.content or b""
    token = {"Authorization": f"Bearer {call.caller.token}"} if call.caller else {}
    yield call.method, path, {}, b""
    yield call.method, path, {"Authorization": "Bearer x"}, body
    yield call.method, path, {"Authorization": "Basic x"}, body
    yield call.method, f"{path}/", token, body
    yield call.method, f"{path}%0A", token if call.method == "GET" else {}, b""
    yield call.method, f"{path}%2F", token, b""
    yield call.method, path.replace("/v1/", "/v1//"), token, b""
    yield call.method, path.upper(), token, b""
    for id in call.ids.values():
        yield call.method, path.replace(f"/{id}", "/"), token, b""
    yield call.method, f"{path}/{NO_ID}/x", token, b""
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"):
        if f"{method} {call.route.split()[1]}" not in all_routes():
            yield method, path, token, b""
    if call.method == "GET":
        yield "HEAD", path, {}, b""
        yield "GET", f"{path}?limit=x&limit=3&cursor=%00&status=x&status=y&event_id=1&after=-1&q=", token, b""
        yield "GET", f"{path}?limit=200", token, b""
    elif call.body is not None:
        yield call.method, path, {**token, **JSON, "Idempotency-Key": ""}, b"[1]"
        headers = {**token, "Idempotency-Key": str(uuid4())}
        for content in (b"", b"{", b"null", b"[]", b'"x"', b"1e999", b"NaN", b'{"x":1}', b"\xff", b"{}" * 2, b"[" * 40):
            yield call.method, path, {**headers, **JSON}, content
        for media in ("", "text/plain", "application/json; charset=utf-8", "application/x+json", "application/xml"):
            yield call.method, path, {**headers, "Content-Type": media}, b'{"x":1}'


def seen(response: httpx2.Response) -> dict[str, Any]:
    if is_timed := response.request.url.path.startswith(TIMED) and response.is_success:
        response.headers.pop("content-length", None)
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in VARYING]
    correlation_id = response.headers.get("x-correlation-id", "-")
    return {
        "status": response.status_code,
        "headers": sorted(headers),
        "body": re.sub(
            rb"DTSTAMP:\S+", b"", b"" if is_timed else response.content.replace(correlation_id.encode(), b"-")
        ),
    }


async def check(app: httpx2.AsyncClient, framework: httpx2.AsyncClient, request: Request) -> None:
    method, path, headers, content = request
    responses = [
        seen(await client.request(method, path, headers=headers, content=content or None))
        for client in (app, framework)
    ]
    assert responses[0] == responses[1], request


@each_route(lambda route: route.name != STREAM)
async def test_unusual_requests(
    client: httpx2.AsyncClient, framework: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        for request in spoiled(await build_call(build, tenant)):
            await check(client, framework, request)


@each_route(lambda route: route.method == "GET" and route.name != STREAM)
async def test_ordinary_reads(
    client: httpx2.AsyncClient, framework: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    if route.path.startswith(("/health", "/metrics")) or route.path.endswith((".pdf", "/feed", "/export")):
        return
    for build in examples_of(route.name):
        call = await build_call(build, tenant)
        token = {"Authorization": f"Bearer {call.caller.token}"} if call.caller else {}
        query = str(httpx2.QueryParams(dict(call.query)))
        await check(client, framework, ("GET", f"{call.path}?{query}" if query else call.path, token, b""))


async def test_unknown_paths(client: httpx2.AsyncClient, framework: httpx2.AsyncClient) -> None:
    for path in ("/", "//", API, f"{API}/", f"{API}/x", "/health", "/health/x", "/docs/", "/static/x", "/%7Bx%7D"):
        for method in ("GET", "POST", "OPTIONS"):
            await check(client, framework, (method, path, {}, b""))


def test_the_table_finds_what_the_framework_finds(app: FastAPI) -> None:
    """For the path of every route, with each way to fill its parameters."""
    table = RouteTable(app, app)
    for route in all_routes().values():
        for filling in ("x", "by-reference", "import"):
            path = "/".join(filling if "{" in part else part for part in route.path.split("/"))
            scope = {"type": "http", "method": route.method, "path": path, "root_path": "", "headers": []}
            found = table._find(scope)
            assert (found[0].route if found else None) is _selected(app, scope), (route.method, path)


def _selected(app: FastAPI, scope: dict[str, Any]) -> object:
    for context in iter_route_contexts(app.routes):
        pattern = context.path_regex
        if pattern.match(scope["path"]) and scope["method"] in (context.methods or ()):
            return context.original_route
    return None
