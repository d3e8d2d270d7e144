"""Which requests the cache serves, in which representation, indistinguishably from the ordinary route."""

import zlib
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.types import Scope

from tests.modules.events.test_seat_plan import renew_plan
from tests.modules.realtime.caching import LONG_SECONDS, ORDINARY, queries_of, served_from, warm_up
from tests.support.world import API, Show, World, data, refusal
from ticketing.infra.db import Database
from ticketing.infra.http.caching.representations import accepts_gzip
from ticketing.modules.realtime.response_cache import cache
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.middleware import parse_request

PLAIN, GZIP = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "br, gzip"}


@pytest.fixture(autouse=True)
def _nothing_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", LONG_SECONDS)


@pytest.fixture
async def show(app: FastAPI, world: World) -> Show:
    """An event whose two maps are cached: requested once from the ordinary route, and once to load the entry."""
    show = await world.show(rows=1, seats=30)
    await warm_up(app, world.client, show)
    for _ in range(2):
        for resource in ("availability", "seatmap"):
            data(await world.client.get(path_of(show, resource)))
    return show


def path_of(show: Show, resource: str) -> str:
    return f"{API}/events/{show.id}/{resource}"


def without_names(response: httpx2.Response) -> dict[str, str]:
    """The headers without the correlation id, which differs between any two responses."""
    return {name: value for name, value in response.headers.items() if name != "x-correlation-id"}


@pytest.mark.parametrize("encoding", [PLAIN, GZIP], ids=["plain", "gzip"])
@pytest.mark.parametrize("resource", ["availability", "seatmap"])
async def test_the_cache_and_the_ordinary_route_respond_alike(
    world: World, show: Show, resource: str, encoding: dict[str, str]
) -> None:
    path = path_of(show, resource)
    ordinary = await world.client.get(path, headers={**ORDINARY, **encoding})
    answer = await world.client.get(path, headers=encoding)
    assert (answer.status_code, answer.content) == (200, ordinary.content)
    assert without_names(answer) == without_names(ordinary)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert ("Content-Encoding" in answer.headers) is (encoding is GZIP)
    etag = answer.headers["ETag"]
    for tag in (etag, "*", f'"other", {etag}', f"W/{etag.removeprefix('W/')}"):
        known = await world.client.get(path, headers={"If-None-Match": tag, **encoding})
        assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
        before = await world.client.get(path, headers={**ORDINARY, "If-None-Match": tag, **encoding})
        assert (before.status_code, without_names(before)) == (304, without_names(known))
    other = await world.client.get(path, headers={"If-None-Match": '"other"', **encoding})
    assert (other.status_code, other.content) == (200, answer.content)


async def test_a_cached_event_follows_its_organizer_and_its_buyers(world: World) -> None:
    show, buyer = await world.show(rows=1, seats=3, capacity=2), await world.person()
    path, admin = f"/events/{show.id}", show.tenant.admin
    for number in range(3):
        data(await admin.patch(show.tenant.path(path), {"title": f"Title {number}"}))
        seen = data(await world.client.get(f"{API}{path}"))
        assert (seen["title"], seen["availability"]["available"]) == (f"Title {number}", 5 - number)
        wanted = (
            {"items": [{"ticket_type_id": show.area_type_id, "quantity": 1}]} if number else {"seats": [show.labels[0]]}
        )
        data(await buyer.post("/reservations", {"event_id": show.id, **wanted}), 201)
    data(await admin.post(show.tenant.path(f"{path}/cancel")))
    assert data(await world.client.get(f"{API}{path}"))["status"] == "cancelled"


async def test_each_representation_has_its_own_etag_and_either_is_accepted(world: World, show: Show) -> None:
    path = path_of(show, "availability")
    plain, gzipped = [(await world.client.get(path, headers=one)).headers["ETag"] for one in (PLAIN, GZIP)]
    assert plain != gzipped
    assert not plain.startswith("W/")
    for tag, encoding, same in ((gzipped, PLAIN, plain), (plain, GZIP, gzipped)):
        answer = await world.client.get(path, headers={"If-None-Match": tag, **encoding})
        assert (answer.status_code, answer.headers["ETag"]) == (304, same)


async def test_the_gzipped_body_is_smaller_and_equal(world: World, show: Show) -> None:
    path = path_of(show, "availability")
    plain = (await world.client.get(path, headers=PLAIN)).content
    async with world.client.stream("GET", path, headers=GZIP) as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert int(answer.headers["Content-Length"]) == len(raw) < len(plain)
    assert zlib.decompress(raw, wbits=31) == plain


@pytest.mark.parametrize(
    ("header", "is_accepted"),
    [
        (b"gzip", True),
        (b"GZIP;q=0.5, br", True),
        (b"br,gzip ; q=1", True),
        (b"gzip;q=0", False),
        (b"br, gzip; q=0.000", False),
        (b"", False),
        (b"identity", False),
        (b"notgzip", False),
    ],
    ids=str,
)
def test_gzip_is_sent_only_if_accepted(header: bytes, is_accepted: bool) -> None:
    assert accepts_gzip(header) is is_accepted


def request_for(resource: str, query: bytes = b"", method: str = "GET", **headers: bytes) -> Scope:
    raw = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    path = f"{API}/events/01a1fcaa-0000-7000-8000-000000000000/{resource}"
    return {"type": "http", "method": method, "path": path, "query_string": query, "headers": raw}


@pytest.mark.parametrize("resource", ["availability", "seatmap"])
def test_a_plain_request_for_a_map_is_served_from_the_cache(resource: str) -> None:
    scope = request_for(resource, accept=b"*/*", accept_encoding=b"gzip", if_none_match=b'"x"', cookie=b"a=b")
    wanted = parse_request(scope)
    assert wanted is not None
    assert (wanted.target.route.name, *wanted[1:]) == (resource, b"gzip", b'"x"')


@pytest.mark.parametrize(
    "scope",
    [
        request_for("availability", authorization=b"ApiKey x"),
        request_for("availability", range=b"bytes=0-1"),
        request_for("availability", if_match=b'"x"'),
        request_for("availability", content_length=b"0"),
        request_for("availability", transfer_encoding=b"chunked"),
        request_for("availability", long=b"x" * 20_000),
        request_for("availability", **{f"h{n}": b"" for n in range(101)}),
        request_for("availability", b"x=" + b"1" * 500),
        request_for("seats", b"section=Stalls"),
        request_for("seats", b"status=held"),
        request_for("seats", b"cursor=abc"),
        request_for("seats", b"limit=21"),
        request_for("seats", b"limit=20&limit=20"),
        request_for("availability", method="HEAD"),
        request_for("stream"),
    ],
    ids=lambda scope: f"{scope['method']}-{scope['query_string'].decode()}-{dict(scope['headers'][:1])}"[:60],
)
def test_unusual_requests_take_the_ordinary_route(scope: Scope) -> None:
    assert parse_request(scope) is None


def test_a_layout_with_a_version_is_served_from_the_cache() -> None:
    assert parse_request(request_for("seatmap", b"plan=12")) == parse_request(request_for("seatmap"))


async def test_a_logged_in_buyer_is_served_from_the_cache_until_logout(world: World, show: Show) -> None:
    buyer = await world.person()
    for resource in ("availability", "seatmap"):
        stranger, known = (
            await world.client.get(path_of(show, resource)),
            await buyer.get(f"/events/{show.id}/{resource}"),
        )
        assert (known.content, without_names(known)) == (stranger.content, without_names(stranger))
    assert parse_request(request_for("availability", authorization=f"Bearer {buyer.token}".encode()))
    twice = request_for("availability", authorization=f"Bearer {buyer.token}".encode())
    twice["headers"] *= 2
    assert parse_request(twice) is None
    data(await buyer.post("/auth/logout", {"refresh_token": buyer.refresh_token}), 200)
    refusal(await buyer.get(f"/events/{show.id}/availability"), 401)


async def test_an_invalid_token_is_refused_even_if_the_map_is_cached(world: World, show: Show) -> None:
    for resource in ("availability", "seatmap"):
        answer = await world.client.get(path_of(show, resource), headers={"Authorization": "Bearer nonsense"})
        assert refusal(answer, 401)["code"] == "unauthenticated"


async def test_headers_that_are_too_large_are_refused_even_if_the_map_is_cached(world: World, show: Show) -> None:
    answer = await world.client.get(path_of(show, "availability"), headers={"X-Long": "x" * 20_000})
    assert refusal(answer, 431)["code"] == "headers_too_large"


async def test_other_methods_are_refused(world: World, show: Show) -> None:
    for method in ("PUT", "POST", "DELETE"):
        assert (await world.client.request(method, path_of(show, "availability"))).status_code == 405


async def test_cached_responses_are_counted_under_their_route(world: World, show: Show) -> None:
    def count(status: int, resource: str) -> float:
        route = f"{API}/events/{{event_id}}/{resource}"
        labels = {"method": "GET", "route": route, "status": str(status)}
        return REGISTRY.get_sample_value("ticketing_http_requests_total", labels) or 0.0

    for resource in ("availability", "seatmap"):
        path, before = path_of(show, resource), (count(200, resource), count(304, resource))
        etag = (await world.client.get(path)).headers["ETag"]
        await world.client.get(path, headers={"If-None-Match": etag})
        assert (count(200, resource), count(304, resource)) == (before[0] + 1, before[1] + 1)


async def test_only_the_canonical_spelling_of_an_id_is_cached(app: FastAPI, world: World, show: Show) -> None:
    path = path_of(show, "availability")
    for spelling in (show.id.upper(), show.id.replace("-", "")):
        assert data(await world.client.get(path.replace(show.id, spelling)))["seats"] == "a" * 30
    assert {path.split("/")[4] for path in app.state.get(ResponseCache)._entries if show.id in path} == {show.id}
    assert len(app.state.get(ResponseCache)._entries) == 2


async def test_drafts_are_never_cached(app: FastAPI, world: World) -> None:
    draft = await world.show(rows=1, seats=2, publish=False)
    for resource in ("", "/availability", "/seatmap"):
        for _ in range(2):
            data(await draft.tenant.admin.get(f"/events/{draft.id}{resource}"))
            refusal(await world.client.get(f"{API}/events/{draft.id}{resource}"), 404)
    assert app.state.get(ResponseCache)._entries == {}


async def test_the_layout_is_loaded_once_and_follows_its_plan(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4)
    path = path_of(show, "seatmap")
    await warm_up(app, world.client, show)
    for _ in range(2):
        first = await world.client.get(path)
    with queries_of(app) as queries:
        assert len(data(await world.client.get(f"{path}?plan=1"))["seats"]) == 4
    assert queries == []
    await renew_plan(app.state.worker_database, show.venue_id)
    data(await show.tenant.admin.post(show.path("/seats/sync")))
    second = await world.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (data(second)["plan_version"], len(data(second)["seats"])) == (2, 5)
    assert data(await world.client.get(path_of(show, "availability")))["seats"] == "aaaaa"


async def test_an_event_without_seats_has_no_layout_to_cache(app: FastAPI, world: World) -> None:
    show = await world.show(seats=0, capacity=1)
    for _ in range(3):
        assert data(await world.client.get(path_of(show, "seatmap")))["seats"] == []
    assert path_of(show, "seatmap") not in app.state.get(ResponseCache)._entries


async def test_responses_are_counted_by_source(app: FastAPI, world: World, show: Show) -> None:
    before = served_from("memory"), served_from("database")
    path = path_of(show, "availability")
    data(await world.client.get(path))
    app.state.get(Database).notify_changed([UUID(show.id)], [])
    data(await world.client.get(path))
    assert (
        served_from("memory") - before[0],
        served_from("database") - before[1],
    ) == (1, 1)
