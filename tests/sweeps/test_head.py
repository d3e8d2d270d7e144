"""HEAD gets the response of GET without its body, on every route and page."""

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import serve
from tests.support.world import API, World, refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import build_call, examples_of, send
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import METHODS, Route, document, each_route
from ticketing.modules.realtime import Hub, metrics

#: They differ between two GETs as well.
VARYING = {"x-correlation-id", "ratelimit", "ratelimit-remaining", "ratelimit-reset"}
#: Their body has a time, so its length varies.
TIMED = ("/health", "/metrics")


def head_of(response: httpx2.Response) -> tuple[int, dict[str, str]]:
    is_timed = str(response.request.url.path).startswith(TIMED)
    left_out = VARYING | ({"content-length"} if is_timed else set())
    return response.status_code, {name: value for name, value in response.headers.items() if name not in left_out}


@each_route(lambda route: route.method == "GET")
async def test_head_gets_what_get_gets_without_the_body(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        call = await build_call(build, tenant)
        if route.name.endswith("/stream"):
            continue
        whole = await send(client, call)
        with_head = await client.request(
            "HEAD", call.path, params=dict(call.query), headers=[*whole.request.headers.raw]
        )
        assert head_of(with_head) == head_of(whole)
        assert with_head.content == b""
        if etag := whole.headers.get("ETag"):
            conditional = [*whole.request.headers.raw, (b"If-None-Match", etag.encode())]
            found = await client.request("HEAD", call.path, params=dict(call.query), headers=conditional)
            assert found.status_code == 304


@pytest.mark.parametrize(
    "path", ["/", "/me", "/door", "/nothing", "/favicon.ico", "/docs", "/openapi.json", f"{API}/x"]
)
async def test_head_of_pages_and_files(client: httpx2.AsyncClient, path: str) -> None:
    whole, with_head = await client.get(path), await client.head(path)
    assert head_of(with_head) == head_of(whole)
    assert with_head.content == b""


async def test_head_over_a_socket_leaves_the_connection_usable_and_opens_no_stream(app: FastAPI, world: World) -> None:
    show = await world.show(seats=2, rows=1)
    async with serve(app) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for path in ("/", "/health/live", f"{API}/events/{show.id}", f"{API}/events/{show.id}/availability"):
            whole, with_head = await client.get(path), await client.head(path)
            assert with_head.headers["Content-Length"] == str(len(whole.content)) or whole.headers["Content-Encoding"]
            assert with_head.content == b""
        streams = metrics.STREAMS._value.get()
        opened = await client.head(f"{API}/events/{show.id}/stream")
        assert opened.status_code == 200
        assert opened.headers["Content-Type"].startswith("text/event-stream")
        assert metrics.STREAMS._value.get() == streams
        assert not app.state.get(Hub).addresses._open, "it counts as an open stream of its address"
        assert (await client.head(f"{API}/events/{'0' * 8}-0000-7000-8000-{'0' * 12}/stream")).status_code == 404


async def test_a_route_without_get_refuses_head_and_one_with_it_names_both(client: httpx2.AsyncClient) -> None:
    refused = await client.head(f"{API}/auth/login")
    assert (refused.status_code, refused.headers["Allow"], refused.content) == (405, "POST", b"")
    other = await client.post("/health/live")
    refusal(other, 405)
    assert other.headers["Allow"] == "GET, HEAD"


def test_the_document_has_no_head_operations() -> None:
    assert {method for path in document()["paths"].values() for method in path} <= {*METHODS, "parameters"}
