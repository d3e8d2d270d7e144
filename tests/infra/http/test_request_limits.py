"""Everything that a client can send is limited, and an excess gets an ordinary error response."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import httpx2
import orjson
import pytest
from fastapi import FastAPI

from tests.modules.realtime.live import serve_as_configured
from tests.support.machine import stretched
from tests.support.world import API, PASSWORD, World, data, refusal
from tests.sweeps.openapi.routes import Route, Schema, all_routes, each_route, resolve
from ticketing.infra.http import request_limits
from ticketing.infra.http import server as http_server
from ticketing.infra.http.error_handlers import ENTRIES_MAX
from ticketing.infra.http.request_limits import DEPTH_MAX, has_too_many_values, is_too_deep
from ticketing.rate_limits import VALUES_MAX

JSON = {"Content-Type": "application/json"}
REGISTER = f"{API}/auth/register"


def nested(depth: int) -> bytes:
    return b'{"email": ' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 500, 1_000, 5_000, 100_000])
async def test_json_nested_too_deep_is_malformed(client: httpx2.AsyncClient, depth: int) -> None:
    answer = await client.post(REGISTER, content=nested(depth), headers=JSON)
    assert refusal(answer, 400)["code"] == "malformed"


async def test_json_at_the_depth_limit_is_validated_by_its_fields(client: httpx2.AsyncClient) -> None:
    answer = await client.post(REGISTER, content=nested(DEPTH_MAX), headers=JSON)
    assert "email" in {error["field"] for error in answer.json()["errors"]}
    assert answer.status_code == 422


async def test_media_types_in_any_spelling_are_subject_to_the_depth_limit(client: httpx2.AsyncClient) -> None:
    for spelling in ("application/JSON", "Application/Json", "application/vnd.api+JSON"):
        answer = await client.post(REGISTER, content=nested(900), headers={"Content-Type": spelling})
        assert refusal(answer, 400)["code"] == "malformed"


def broad(values: int) -> dict[str, bytes]:
    """JSON with this many values: members of one object, of nested objects, and elements of lists."""
    return {
        "unknown fields": b"{" + b",".join(b'"x%d":1' % n for n in range(values)) + b"}",
        "unknown fields of a field": b'{"email":{' + b",".join(b'"x%d":1' % n for n in range(values)) + b"}}",
        "elements": b'{"email":[' + b",".join(b"1" for _ in range(values)) + b"]}",
        "objects": b'{"email":[' + b",".join(b"{}" for _ in range(values)) + b"]}",
        "the whole body": b"[" + b",".join(b"{}" for _ in range(values)) + b"]",
    }


@pytest.mark.parametrize("shape", broad(0))
async def test_json_with_too_many_values_is_refused_before_validation(client: httpx2.AsyncClient, shape: str) -> None:
    answer = await client.post(REGISTER, content=broad(VALUES_MAX + 2)[shape], headers=JSON)
    assert refusal(answer, 413)["code"] == "too_large"


async def test_at_most_a_hundred_errors_are_reported(client: httpx2.AsyncClient) -> None:
    answer = await client.post(REGISTER, content=broad(VALUES_MAX)["unknown fields"], headers=JSON)
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == ENTRIES_MAX
    answer = await client.post(REGISTER, json={"x" * 100_000: 1}, headers=JSON)
    assert answer.status_code == 422
    assert len(answer.content) < 2_000


def test_commas_inside_strings_do_not_count_as_values() -> None:
    assert not has_too_many_values(b'{"title": "' + b"," * 5_000 + b'"}', VALUES_MAX)


async def test_an_organizer_can_send_ten_thousand_seats(world: World) -> None:
    tenant = await world.tenant()
    show = await world.show(tenant)
    seats = [f"Nowhere-{n}" for n in range(10_000)]
    answer = await tenant.admin.post(show.path("/seats/block"), {"seats": seats})
    assert refusal(answer, 422)["code"] == "seat_unknown"


@pytest.mark.parametrize("depth", [50, 900, 1_100, 100_000])
async def test_a_seating_plan_of_any_depth_causes_no_internal_error(world: World, depth: int) -> None:
    tenant = await world.tenant()
    deep = b'{"name": "x", "categories": [], "zones": [' + b"[" * depth + b"]" * depth + b"]}"
    path = tenant.path("/venues/import?format=pretix&timezone=Europe/Amsterdam")
    answer = await tenant.admin.post(path, content=deep, headers=JSON)
    assert answer.status_code in {400, 422}


@pytest.mark.parametrize(
    ("body", "is_deep"),
    [
        (b"[" * 33 + b"]" * 33, True),
        (b"[" * 32 + b"]" * 32, False),
        (b'{"a":' * 33 + b"1" + b"}" * 33, True),
        (b"[" + b"[]," * 5_000 + b"[]]", False),
        (b'["' + b"[" * 100 + b'"]', False),
        (b'["\\"' + b"[" * 100 + b'"]', False),
        (b'["\\\\"' + b",[]" * 100 + b"]", False),
        (b'["\\\\", ' + b"[" * 33 + b"]" * 33 + b"]", True),
    ],
)
def test_brackets_inside_strings_do_not_count(body: bytes, is_deep: bool) -> None:
    assert is_too_deep(body) is is_deep


@pytest.mark.parametrize("body", [b'"\\"' * 350_000, b'"\\' * 500_000, b"[" * 10**6, b"[]" * 500_000, b"[{" * 500_000])
def test_depth_of_a_megabyte_is_measured_quickly(body: bytes) -> None:
    begun = time.process_time()
    is_too_deep(b"[" * 40 + body)
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    ("path", "bytes_max"),
    [("/auth/register", 2**20), ("/reservations", 2**20), ("/orgs", 2**20), ("/payments/webhooks/mock", 2**16)],
)
async def test_a_body_that_is_too_large_is_refused(client: httpx2.AsyncClient, path: str, bytes_max: int) -> None:
    answer = await client.post(f"{API}{path}", content=b" " * (bytes_max + 1), headers=JSON)
    assert refusal(answer, 413)["code"] == "too_large"
    fitting = await client.post(f"{API}{path}", content=b" " * bytes_max, headers=JSON)
    assert fitting.status_code != 413


async def test_only_authenticated_users_may_send_large_bodies(client: httpx2.AsyncClient, world: World) -> None:
    tenant = await world.tenant()
    path, large = tenant.path("/venues/import?format=pretix&timezone=Europe/Amsterdam"), b" " * (2 * 2**20)
    assert refusal(await tenant.admin.post(path, content=large, headers=JSON), 400)["code"] == "malformed"
    keyed = {**JSON, "Idempotency-Key": "one"}
    assert refusal(await client.post(f"{API}{path}", content=large, headers=keyed), 401)["code"] == "unauthenticated"
    assert refusal(await client.post(f"{API}/orgs", content=large, headers=keyed), 413)["code"] == "too_large"


async def test_a_head_of_too_many_or_too_large_headers_is_refused(client: httpx2.AsyncClient) -> None:
    for headers in ({f"X-{n}": "x" for n in range(101)}, {"X-Large": "x" * 17_000}):
        assert refusal(await client.get(f"{API}/events", headers=headers), 431)["code"] == "headers_too_large"


async def test_a_url_that_is_too_long_is_refused(client: httpx2.AsyncClient) -> None:
    assert refusal(await client.get(f"{API}/events?q={'x' * 9_000}"), 414)["code"] == "address_too_long"
    assert refusal(await client.get(f"{API}/{'x' * 9_000}"), 414)["code"] == "address_too_long"
    many = "&".join(f"a{n}=1" for n in range(102))
    assert refusal(await client.get(f"{API}/events?{many}"), 400)["code"] == "malformed"


def _unbounded(schema: Schema, path: str = "", seen: tuple[str, ...] = ()) -> list[str]:
    """Return the unbounded strings, lists and open objects of a schema."""
    if (reference := schema.get("$ref")) is not None:
        return [] if reference in seen else _unbounded(resolve(schema), path, (*seen, reference))
    found = []
    kind = schema.get("type")
    if kind == "string" and not {"maxLength", "enum", "const", "format", "pattern"} & schema.keys():
        found.append(path)
    if kind == "array":
        found += [] if "maxItems" in schema else [path]
        found += _unbounded(schema.get("items", {}), f"{path}[]", seen)
    for name, part in schema.get("properties", {}).items():
        found += _unbounded(part, f"{path}.{name}", seen)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        found += _unbounded(part, path, seen)
    return found


@each_route(lambda route: route.body is not None)
def test_every_string_and_list_of_a_body_has_a_limit(route: Route) -> None:
    assert route.body is not None
    assert _unbounded(route.body) == []


@each_route(lambda route: route.parameters("query"))
def test_every_parameter_has_a_limit(route: Route) -> None:
    assert [name for name, schema in route.parameters("query").items() if _unbounded(schema)] == []


def test_the_sweep_finds_routes() -> None:
    assert len([route for route in all_routes().values() if route.body is not None]) > 20


async def _say(port: int, *pieces: bytes, pause: float = 0) -> bytes:
    """Send these bytes and return everything received until the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = bytearray()

    async def listen_on() -> None:
        while piece := await reader.read(65_536):
            heard.extend(piece)

    listening = asyncio.create_task(listen_on())
    with suppress(ConnectionError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
    with suppress(ConnectionError):
        await asyncio.wait_for(listening, 60)
    writer.close()
    return bytes(heard)


def _body(answer: bytes) -> Any:
    return orjson.loads(answer.partition(b"\r\n\r\n")[2])


async def test_an_endless_request_head_is_cut_off(app: FastAPI) -> None:
    async with serve_as_configured(app) as port:
        endless = _say(port, b"GET / HTTP/1.1\r\nHost: x\r\nX: ", *[b"x" * 16_384] * 64)
        address = _say(port, b"GET /", *[b"x" * 16_384] * 64)
        trailers = _say(
            port,
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
            *[b"x" * 16_384] * 64,
        )
        answers = await asyncio.gather(endless, address, trailers)
    for answer in answers[:2]:
        # The response may be lost when the server closes the connection.
        assert answer == b"" or answer.startswith(b"HTTP/1.1 431 ")
        assert not answer or _body(answer)["errors"][0]["code"] == "headers_too_large"


async def test_a_complete_but_too_large_head_gets_a_response(app: FastAPI) -> None:
    async with serve_as_configured(app) as port:
        head = b"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
        answer = await _say(port, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert _body(answer)["errors"][0]["code"] == "headers_too_large"


async def test_a_connection_without_a_request_is_closed(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.3)
    async with serve_as_configured(app) as port:
        begun = time.monotonic()
        assert await _say(port) == b""
        assert await _say(port, b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 20, pause=0.1) == b""
        assert time.monotonic() - begun < stretched(5)


async def test_a_slow_body_times_out(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.3)
    head = f"POST {REGISTER} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n"
    webhook = head.replace("/auth/register", "/payments/webhooks/mock")
    async with serve_as_configured(app) as port:
        for each in (head, webhook):
            answer = await _say(port, each.encode(), *[b" "] * 20, pause=0.1)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer.lower()
            assert _body(answer)["errors"][0]["code"] == "too_slow"


async def test_a_keep_alive_connection_outlives_the_head_timeout(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send several requests on one connection: each within the head timeout, all together beyond it."""
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 1.5)
    async with serve_as_configured(app) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(4):
            body = {"email": f"{time.monotonic_ns()}@example.com", "password": PASSWORD}
            data(await client.post(REGISTER, json=body), 201)
            await asyncio.sleep(0.5)
