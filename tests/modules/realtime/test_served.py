"""Which requests are answered from memory, in which form, and that nobody can tell it from the ordinary route."""

import zlib
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.types import Scope

from tests.modules.events.test_seat_plan import renew_plan
from tests.modules.realtime.copying import LONG_SECONDS, answers, know, statements
from tests.support.world import API, Show, World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules.realtime.response_cache import cache as copies
from ticketing.modules.realtime.response_cache.cache import Copies
from ticketing.modules.realtime.response_cache.middleware import wish_of
from ticketing.modules.realtime.response_cache.responses import accepts_gzip

PLAIN, GZIP = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "br, gzip"}


@pytest.fixture(autouse=True)
def _nothing_ends_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LIFE_SECONDS", LONG_SECONDS)


@pytest.fixture
async def show(app: FastAPI, world: World) -> Show:
    """An event whose two maps are kept: asked once by the ordinary route, and once for the copy."""
    show = await world.show(rows=1, seats=30)
    await know(app, world.client, show)
    for _ in range(2):
        for question in ("availability", "seatmap"):
            data(await world.client.get(path_of(show, question)))
    return show


def path_of(show: Show, question: str) -> str:
    return f"{API}/events/{show.id}/{question}"


def without_names(response: httpx2.Response) -> dict[str, str]:
    """The headers, but for what differs between any two answers."""
    return {name: value for name, value in response.headers.items() if name != "x-correlation-id"}


@pytest.mark.parametrize("encoding", [PLAIN, GZIP], ids=["plain", "gzip"])
@pytest.mark.parametrize("question", ["availability", "seatmap"])
async def test_memory_and_the_ordinary_route_answer_alike(
    world: World, show: Show, question: str, encoding: dict[str, str]
) -> None:
    path = path_of(show, question)
    ordinary = await world.client.get(f"{path}?ordinary=1", headers=encoding)
    answer = await world.client.get(path, headers=encoding)
    assert (answer.status_code, answer.content) == (200, ordinary.content)
    assert without_names(answer) == without_names(ordinary)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert ("Content-Encoding" in answer.headers) is (encoding is GZIP)
    etag = answer.headers["ETag"]
    for tag in (etag, "*", f'"other", {etag}', f"W/{etag.removeprefix('W/')}"):
        known = await world.client.get(path, headers={"If-None-Match": tag, **encoding})
        assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", etag)
        before = await world.client.get(f"{path}?ordinary=1", headers={"If-None-Match": tag, **encoding})
        assert (before.status_code, without_names(before)) == (304, without_names(known))
    other = await world.client.get(path, headers={"If-None-Match": '"other"', **encoding})
    assert (other.status_code, other.content) == (200, answer.content)


async def test_an_event_from_memory_is_the_one_that_the_ordinary_route_shows(world: World, show: Show) -> None:
    path = f"{API}/events/{show.id}"
    first = await world.client.get(path)
    before = answers("memory", "event"), answers("database", "event")
    again = [await world.client.get(path, headers={"If-None-Match": "*"}) for _ in range(2)]
    assert [(one.status_code, one.content) for one in again] == [(200, first.content)] * 2
    assert without_names(again[0]) == without_names(await world.client.get(f"{path}?ordinary=1"))
    assert answers("memory", "event") + answers("database", "event") == sum(before) + 2


async def test_an_event_from_memory_follows_its_organizer_and_its_buyers(world: World) -> None:
    show, buyer = await world.show(rows=1, seats=3, capacity=2), await world.person()
    path, admin = f"/events/{show.id}", show.tenant.admin
    for number in range(3):
        data(await admin.patch(show.tenant.path(path), {"title": f"Title {number}"}))
        seen = data(await world.client.get(f"{API}{path}"))
        assert (seen["title"], seen["availability"]["available"]) == (f"Title {number}", 5 - number)
        wish = (
            {"items": [{"ticket_type_id": show.area_type_id, "quantity": 1}]} if number else {"seats": [show.labels[0]]}
        )
        data(await buyer.post("/reservations", {"event_id": show.id, **wish}), 201)
    data(await admin.post(show.tenant.path(f"{path}/cancel")))
    assert data(await world.client.get(f"{API}{path}"))["status"] == "cancelled"


async def test_each_form_of_a_map_has_a_tag_of_its_own_and_either_will_do(world: World, show: Show) -> None:
    path = path_of(show, "availability")
    plain, gzipped = [(await world.client.get(path, headers=one)).headers["ETag"] for one in (PLAIN, GZIP)]
    assert plain != gzipped
    assert not plain.startswith("W/")
    for tag, encoding, same in ((gzipped, PLAIN, plain), (plain, GZIP, gzipped)):
        answer = await world.client.get(path, headers={"If-None-Match": tag, **encoding})
        assert (answer.status_code, answer.headers["ETag"]) == (304, same)


async def test_gzipped_is_smaller_and_says_the_same(world: World, show: Show) -> None:
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
def test_gzip_is_for_those_who_take_it(header: bytes, is_accepted: bool) -> None:
    assert accepts_gzip(header) is is_accepted


def request_for(question: str, query: bytes = b"", method: str = "GET", **headers: bytes) -> Scope:
    raw = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    path = f"{API}/events/01a1fcaa-0000-7000-8000-000000000000/{question}"
    return {"type": "http", "method": method, "path": path, "query_string": query, "headers": raw}


@pytest.mark.parametrize("question", ["availability", "seatmap"])
def test_a_plain_request_for_a_map_is_answered_from_memory(question: str) -> None:
    scope = request_for(question, accept=b"*/*", accept_encoding=b"gzip", if_none_match=b'"x"', cookie=b"a=b")
    assert wish_of(scope) == (question, b"gzip", b'"x"')


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
        request_for("availability", b"x=1"),
        request_for("availability", b"plan=1"),
        request_for("seatmap", b"plan=1&x=1"),
        request_for("seatmap", b"plan=one"),
        request_for("availability", method="HEAD"),
        request_for("seats"),
    ],
    ids=lambda scope: f"{scope['method']}-{scope['query_string'].decode()}-{dict(scope['headers'][:1])}"[:60],
)
def test_anything_unusual_takes_the_ordinary_route(scope: Scope) -> None:
    assert wish_of(scope) is None


def test_the_version_that_pages_ask_for_does_not_keep_a_layout_from_memory() -> None:
    assert wish_of(request_for("seatmap", b"plan=12")) == ("seatmap", b"", b"")


async def test_a_buyer_who_has_logged_in_is_answered_from_memory_until_the_log_in_ends(
    world: World, show: Show
) -> None:
    buyer = await world.person()
    for question in ("availability", "seatmap"):
        stranger, known = (
            await world.client.get(path_of(show, question)),
            await buyer.get(f"/events/{show.id}/{question}"),
        )
        assert (known.content, without_names(known)) == (stranger.content, without_names(stranger))
    assert wish_of(request_for("availability", authorization=f"Bearer {buyer.token}".encode()))
    twice = request_for("availability", authorization=f"Bearer {buyer.token}".encode())
    twice["headers"] *= 2
    assert wish_of(twice) is None
    data(await buyer.post("/auth/logout", {"refresh_token": buyer.refresh_token}), 200)
    refusal(await buyer.get(f"/events/{show.id}/availability"), 401)


async def test_a_bad_token_is_refused_though_the_map_is_at_hand(world: World, show: Show) -> None:
    for question in ("availability", "seatmap"):
        answer = await world.client.get(path_of(show, question), headers={"Authorization": "Bearer nonsense"})
        assert refusal(answer, 401)["code"] == "unauthenticated"


async def test_a_head_that_is_too_large_is_refused_though_the_map_is_at_hand(world: World, show: Show) -> None:
    answer = await world.client.get(path_of(show, "availability"), headers={"X-Long": "x" * 20_000})
    assert refusal(answer, 431)["code"] == "headers_too_large"


async def test_other_methods_are_refused_as_ever(world: World, show: Show) -> None:
    for method in ("HEAD", "POST", "DELETE"):
        assert (await world.client.request(method, path_of(show, "availability"))).status_code == 405


async def test_answers_from_memory_are_counted_under_their_route(world: World, show: Show) -> None:
    def count(status: int, question: str) -> float:
        route = f"{API}/events/{{event_id}}/{question}"
        labels = {"method": "GET", "route": route, "status": str(status)}
        return REGISTRY.get_sample_value("ticketing_http_requests_total", labels) or 0.0

    for question in ("availability", "seatmap"):
        path, before = path_of(show, question), (count(200, question), count(304, question))
        etag = (await world.client.get(path)).headers["ETag"]
        await world.client.get(path, headers={"If-None-Match": etag})
        assert (count(200, question), count(304, question)) == (before[0] + 1, before[1] + 1)


async def test_a_map_is_known_by_one_spelling_of_its_id_only(app: FastAPI, world: World, show: Show) -> None:
    path = path_of(show, "availability")
    for spelling in (show.id.upper(), show.id.replace("-", "")):
        assert data(await world.client.get(path.replace(show.id, spelling)))["seats"] == "a" * 30
    assert {path.split("/")[4] for path in app.state.get(Copies)._shelves} == {show.id}


async def test_drafts_are_never_kept(app: FastAPI, world: World) -> None:
    draft = await world.show(rows=1, seats=2, publish=False)
    for question in ("", "/availability", "/seatmap"):
        for _ in range(2):
            data(await draft.tenant.admin.get(f"/events/{draft.id}{question}"))
            refusal(await world.client.get(f"{API}/events/{draft.id}{question}"), 404)
    assert app.state.get(Copies)._shelves == {}


async def test_the_layout_is_asked_for_once_and_follows_its_plan(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4)
    path = path_of(show, "seatmap")
    await know(app, world.client, show)
    for _ in range(2):
        first = await world.client.get(path)
    with statements(app) as asked:
        assert len(data(await world.client.get(f"{path}?plan=1"))["seats"]) == 4
    assert asked == []
    await renew_plan(app.state.worker_database, show.venue_id)
    data(await show.tenant.admin.post(show.path("/seats/sync")))
    second = await world.client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (data(second)["plan_version"], len(data(second)["seats"])) == (2, 5)
    assert data(await world.client.get(path_of(show, "availability")))["seats"] == "aaaaa"


async def test_an_event_without_seats_is_no_layout_to_keep(app: FastAPI, world: World) -> None:
    show = await world.show(seats=0, capacity=1)
    for _ in range(3):
        assert data(await world.client.get(path_of(show, "seatmap")))["seats"] == []
    assert path_of(show, "seatmap") not in app.state.get(Copies)._shelves


async def test_what_came_from_where_is_counted(app: FastAPI, world: World, show: Show) -> None:
    before = answers("memory"), answers("database"), answers("redis")
    path = path_of(show, "availability")
    data(await world.client.get(path))
    app.state.get(Database).tell_changed([UUID(show.id)], [])
    data(await world.client.get(path))
    assert (answers("memory") - before[0], answers("database") - before[1], answers("redis") - before[2]) == (1, 1, 0)
