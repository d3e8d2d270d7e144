"""Every cached route, in a table: what its responses follow, what they never have, and what a crowd costs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import text

from tests.modules.events.test_seat_plan import renew_plan
from tests.modules.realtime.caching import LONG_SECONDS, ORDINARY, block_seat, queries_of, served_from
from tests.modules.realtime.live import until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, Person, Show, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.infra.security import access_tokens
from ticketing.main import create_app
from ticketing.modules import events, organizations
from ticketing.modules.events.inventory import counts
from ticketing.modules.realtime.response_cache import cache, loaders
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.loaders import Loaders
from ticketing.modules.realtime.response_cache.middleware import parse_request
from ticketing.modules.realtime.response_cache.targets import find_target

LIVE = ("/api/v1/events/{id}", "/api/v1/events/{id}/availability", "/api/v1/events/{id}/seats")
FACTS = ("/", "/?q=show", "/e/{id}", "/api/v1/events", "/api/v1/events?q=show&limit=24", "/api/v1/events/{id}/seatmap")
PATHS = (*LIVE, *FACTS)
TITLED = [path for path in PATHS if not path.endswith(("/availability", "/seats", "/seatmap"))]
KINDS = ("Bearer", "ApiKey", "Device", "Basic")
PLAIN, GZIP = {"Accept-Encoding": "identity"}, {"Accept-Encoding": "br, gzip"}


@pytest.fixture(autouse=True)
def _nothing_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(loaders, "COUNTS_TTL_SECONDS", LONG_SECONDS)
    # The ordinary route of a list must not be older than the response that is compared with it.
    monkeypatch.setattr(counts, "RECENT_SECONDS", 0.0)


@dataclass
class Stage:
    """A show, and a client of each process that has every path in memory."""

    world: World
    show: Show
    buyer: Person
    workers: Database
    processes: list[tuple[FastAPI, httpx2.AsyncClient]]

    async def fill(self) -> None:
        for app, client in self.processes:
            await until(lambda app=app: app.state.get(ResponseCache).is_subscribed)
            for _ in range(2):
                for path in PATHS:
                    assert (await client.get(path.format(id=self.show.id))).status_code == 200
            with queries_of(app) as queries:
                for path in PATHS:
                    await client.get(path.format(id=self.show.id))
            assert queries == []


@pytest.fixture
async def stage(app: FastAPI, world: World) -> Stage:
    show, buyer = await world.show(rows=1, seats=4, capacity=3, title="Show 1"), await world.person()
    stage = Stage(world, show, buyer, app.state.worker_database, [(app, world.client)])
    await stage.fill()
    return stage


@pytest.fixture
async def pair(stage: Stage, settings: Settings) -> AsyncIterator[Stage]:
    """The second process is an application with its own database pool, Redis connection and cache."""
    other = create_app(settings)
    transport = httpx2.ASGITransport(other, raise_app_exceptions=False)
    async with (
        other.router.lifespan_context(other),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        stage.processes.append((other, client))
        yield stage


async def retitle(stage: Stage) -> None:
    data(await stage.show.tenant.admin.patch(stage.show.path(), {"title": "Show 2", "description": "New <b>text"}))


async def move(stage: Stage) -> None:
    data(await stage.show.tenant.admin.patch(stage.show.path(), {"starts_at": "2031-01-01T19:00:00Z"}))


async def change_sale_window(stage: Stage) -> None:
    data(await stage.show.tenant.admin.patch(stage.show.path(), {"sales_end_at": "2029-01-01T00:00:00Z"}))


async def publish_another(stage: Stage) -> None:
    await stage.world.show(rows=1, seats=1, title="Show 3", starts_at="2029-01-01T19:00:00Z")


async def cancel(stage: Stage) -> None:
    data(await stage.show.tenant.admin.post(stage.show.path("/cancel")))


async def complete(stage: Stage) -> None:
    """As the scheduler does, here in the API process: only its database notifies in this test."""
    async with stage.workers.transaction() as session:
        await session.execute(
            text("update events set starts_at = now() - interval '3 days' where id = :id"), {"id": UUID(stage.show.id)}
        )
        assert await events.complete_past_events(session) == 1
    stage.processes[0][0].state.get(Database).notify_changed([UUID(stage.show.id)], [events.EventCompleted.topic])


async def add_ticket_type(stage: Stage) -> None:
    body = {"name": "Balcony", "price": 100, "capacity": 7}
    data(await stage.show.tenant.admin.post(stage.show.path("/ticket-types"), body), 201)


async def sync_a_new_plan(stage: Stage) -> None:
    await renew_plan(stage.workers, stage.show.venue_id)
    data(await stage.show.tenant.admin.post(stage.show.path("/seats/sync")))


async def block(stage: Stage) -> None:
    data(await stage.show.tenant.admin.post(stage.show.path("/seats/block"), {"seats": stage.show.labels[3:]}))


async def rename_organization(stage: Stage) -> None:
    body = {"name": "Renamed", "slug": f"renamed-{uuid4().hex[:12]}"}
    data(await stage.show.tenant.admin.patch(stage.show.tenant.path(), body))


async def hold(stage: Stage) -> None:
    await stage.world.hold(stage.buyer, stage.show, stage.show.labels[0])


async def hold_places(stage: Stage) -> None:
    await stage.world.hold(stage.buyer, stage.show, items=[{"ticket_type_id": stage.show.area_type_id, "quantity": 3}])


async def release(stage: Stage) -> None:
    held = await stage.world.hold(stage.buyer, stage.show, stage.show.labels[1])
    await stage.fill()
    data(await stage.buyer.delete(f"/reservations/{held['id']}"))


async def buy(stage: Stage) -> None:
    await stage.world.buy(stage.buyer, stage.show, *stage.show.labels[1:3])


Change = Callable[[Stage], Awaitable[None]]
#: Each change with the paths whose responses follow it at once, in an order in which all are possible.
CHANGES: list[tuple[Change, tuple[str, ...]]] = [
    *((change, PATHS) for change in (retitle, move, change_sale_window, publish_another, sync_a_new_plan)),
    *((change, LIVE) for change in (hold, hold_places, release, buy)),
    *((change, PATHS) for change in (block, add_ticket_type, rename_organization)),
]


@pytest.mark.parametrize("last", [cancel, complete])
async def test_responses_follow_every_kind_of_change_in_every_process(pair: Stage, last: Change) -> None:
    for change, paths in [*(CHANGES if last is cancel else ()), (last, PATHS)]:
        await pair.fill()
        (_, same), (_, other) = pair.processes
        addresses = [path.format(id=pair.show.id) for path in paths]
        before = [(await same.get(path)).text for path in addresses]
        await change(pair)
        seen = [(await same.get(path)).text for path in addresses]
        expected = [(await same.get(path, headers=ORDINARY)).text for path in addresses]
        assert seen == expected, change.__name__
        assert expected != before, change.__name__
        async with asyncio.timeout(PATIENCE_SECONDS):
            for path, text_ in zip(addresses, expected, strict=True):
                while (await other.get(path)).text != text_:  # noqa: ASYNC110 (no event)
                    await asyncio.sleep(0.01)


async def test_pages_and_lists_show_what_is_left_after_a_second(
    app: FastAPI, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", 0.3)
    for entry in app.state.get(ResponseCache)._entries.values():
        entry.invalidate()
    await stage.world.buy(stage.buyer, stage.show, *stage.show.labels)
    async with asyncio.timeout(PATIENCE_SECONDS):
        for path, sold in (("/", "3 of 7 left"), (f"/e/{stage.show.id}", "3 of 7 left"), (f"{API}/events", '"sold":4')):
            while sold not in (await stage.world.client.get(path)).text:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.02)


async def test_a_change_whose_notification_is_lost_is_seen_within_the_lifetime(
    app: FastAPI, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", 0.3)
    monkeypatch.setattr(loaders, "COUNTS_TTL_SECONDS", 0.3)
    for entry in app.state.get(ResponseCache)._entries.values():
        entry.invalidate()
    for path in PATHS:
        await stage.world.client.get(path.format(id=stage.show.id))
    async with stage.workers.transaction() as session:  # without a notification
        await session.execute(text("update events set title = 'Show 9' where id = :id"), {"id": UUID(stage.show.id)})
    async with asyncio.timeout(PATIENCE_SECONDS):
        for path in (path.format(id=stage.show.id) for path in TITLED):
            while "Show 9" not in (await stage.world.client.get(path)).text:  # noqa: ASYNC110 (no event)
                await asyncio.sleep(0.02)


def test_every_message_about_what_pages_show_invalidates_them() -> None:
    """A new message about events, venues or organizations has to be one of FACTS, or one of these."""
    not_shown = {"event.created", "venue.created", "venue.plan_created", "organization.created"}
    people = {"member.", "invitation.", "support.", "api_key."}
    kinds = [
        kind
        for module in ("events", "venues", "organizations")
        for kind in _messages(f"ticketing.modules.{module}.messages")
        if not any(kind.topic.startswith(each) for each in people)
    ]
    assert {kind.topic for kind in kinds} - not_shown == loaders.FACTS
    assert organizations.OrganizationUpdated.subject_field == "organization_id"


def _messages(module: str) -> list[type[events.EventUpdated]]:
    found, parents = [], [events.EventUpdated.__mro__[2]]
    while parents:
        children = parents.pop().__subclasses__()
        found += [child for child in children if child.__module__ == module and hasattr(child, "topic")]
        parents += children
    return found


@pytest.mark.parametrize("encoding", [PLAIN, GZIP], ids=["plain", "gzip"])
async def test_memory_and_ordinary_route_respond_alike(app: FastAPI, stage: Stage, encoding: dict[str, str]) -> None:
    for path in (path.format(id=stage.show.id) for path in PATHS if not path.endswith("seatmap")):
        with queries_of(app) as queries:
            kept = await stage.world.client.get(path, headers=encoding)
            head = await stage.world.client.head(path, headers=encoding)
        assert queries == []
        ordinary = await stage.world.client.get(path, headers={**ORDINARY, **encoding})
        assert (kept.status_code, kept.content, headers_of(kept)) == (200, ordinary.content, headers_of(ordinary))
        assert ("Content-Encoding" in kept.headers) is (encoding is GZIP)
        assert (kept.headers["Cache-Control"], kept.headers["Vary"]) == ("no-cache", "Accept-Encoding")
        assert (head.status_code, head.content, headers_of(head)) == (200, b"", headers_of(kept))
        for more, method in ((more, method) for more in ({}, ORDINARY) for method in ("GET", "HEAD")):
            condition = {"If-None-Match": kept.headers["ETag"], **encoding, **more}
            same = await stage.world.client.request(method, path, headers=condition)
            assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", kept.headers["ETag"])
            # A browser replaces the headers that it has stored: those of a page must not become those of the API.
            assert headers_of(same).items() <= headers_of(kept).items()


def headers_of(response: httpx2.Response) -> dict[str, str]:
    """The headers without those that differ between any two requests, or that only the ordinary route has."""
    passing = ("x-correlation-id", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
    return {name: value for name, value in response.headers.items() if name not in passing}


def _address(path: str) -> tuple[str, bytes]:
    path, _, query = path.partition("?")
    return path, query.encode()


async def test_only_these_routes_are_cached(app: FastAPI) -> None:
    """Every other route may have personal data."""
    paths = {getattr(context.route, "path", "") for context in iter_route_contexts(app.routes)}
    paths |= {context.path for context in iter_route_contexts(app.routes) if context.path}
    found = {path for path in paths if find_target(_filled(path), b"")}
    known = {f"{API}/events/{{event_id}}{rest}" for rest in ("", "/availability", "/seats", "/seatmap")}
    assert found == known | {f"{API}/events", "/", "/e/{event_id}"}


def _filled(path: str) -> str:
    parts = [str(uuid4()) if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


async def test_nothing_private_is_shown_or_kept(app: FastAPI, stage: Stage) -> None:
    draft = await stage.world.show(stage.show.tenant, rows=1, seats=1, publish=False, title="Show in secret")
    admin = draft.tenant.admin
    for path in PATHS:
        for headers in ({"Authorization": f"Bearer {admin.token}", "Cookie": "a=b"}, {}):
            seen = await stage.world.client.get(path.format(id=stage.show.id), headers=headers)
            assert seen.status_code == 200
            assert "secret" not in seen.text
        for headers in ({"Authorization": f"Bearer {admin.token}"}, {}):
            for _ in range(2):
                of_draft = await stage.world.client.get(path.format(id=draft.id), headers=headers)
                is_listed = "{id}" not in path
                is_theirs = path.startswith(API) and bool(headers)
                assert of_draft.status_code == (200 if is_listed or is_theirs else 404), path
    assert not [key for key in app.state.get(ResponseCache)._entries if draft.id in key]


@pytest.mark.parametrize("path", PATHS)
def test_only_an_access_token_makes_no_difference(path: str) -> None:
    token = access_tokens.issue_token(uuid4(), uuid4())
    for credentials, is_served in ((f"Bearer {token}", True), *((f"{kind} nonsense", False) for kind in KINDS)):
        scope = {"type": "http", "method": "GET", "headers": [(b"authorization", credentials.encode())]}
        scope["path"], scope["query_string"] = _address(path.format(id=uuid4()))
        assert (parse_request(scope) is not None) is is_served


async def test_unknown_parameters_neither_miss_nor_fill_the_cache(app: FastAPI, stage: Stage) -> None:
    before = list(app.state.get(ResponseCache)._entries)
    with queries_of(app) as queries:
        for path in PATHS:
            for number in range(3):
                joined = f"{path.format(id=stage.show.id)}{'&' if '?' in path else '?'}utm_source={number}&_={uuid4()}"
                assert (await stage.world.client.get(joined)).status_code == 200
    assert queries == []
    assert sorted(app.state.get(ResponseCache)._entries) == sorted(before)


@pytest.mark.parametrize(
    ("query", "same"),
    [
        (b"", b"limit=20&sort=starts_at&q=&city="),
        (b"q=show", b"q=%20show%20&limit=20"),
        (b"q=show&city=Utrecht", b"city=Utrecht&q=show"),
    ],
    ids=["defaults", "spaces", "order"],
)
def test_spellings_of_a_search_share_an_entry(query: bytes, same: bytes) -> None:
    one, other = find_target(f"{API}/events", query), find_target(f"{API}/events", same)
    assert one is not None
    assert one == other


@pytest.mark.parametrize(
    "query",
    [
        *(b"limit=0", b"limit=101", b"limit=020", b"limit=x", b"limit=", b"sort=title", b"q=a&q=b", b"q=%00"),
        *(b"from=2027-01-01T00:00:00Z", b"to=2027-01-01T00:00:00Z", b"cursor=abc", b"q=" + b"x" * 201),
    ],
)
def test_searches_that_are_wrong_or_never_the_same_are_not_cached(query: bytes) -> None:
    assert find_target(f"{API}/events", query) is None


async def test_the_memory_is_bounded(app: FastAPI, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, client = app.state.get(ResponseCache), stage.world.client
    assert kept.size == sum(entry.size for entry in kept._entries.values()) > 0
    monkeypatch.setattr(cache, "ENTRIES_MAX", 12)
    hot = f"/e/{stage.show.id}"
    for number in range(30):
        for _ in range(2):
            data(await client.get(f"{API}/events?q=show{number}"))
        await client.get(hot)
        assert len(kept._entries) <= 12
    assert hot in kept._entries  # the least recently used entry goes first
    monkeypatch.setattr(cache, "BYTES_MAX", 20_000)
    for path in PATHS * 2:
        assert (await client.get(path.format(id=stage.show.id))).status_code == 200
        assert kept.size == sum(entry.size for entry in kept._entries.values()) <= 20_000
    monkeypatch.setattr(cache, "BYTES_MAX", 0)
    for path in PATHS * 2:
        assert (await client.get(path.format(id=stage.show.id))).status_code == 200
    assert kept.size == 0
    monkeypatch.setattr(cache, "ENTRIES_MAX", 0)
    kept.resize(next(iter(kept._entries.values())), 0)
    assert (len(kept._entries), dict(kept._seats)) == (0, {})


@pytest.mark.parametrize("is_known", [True, False], ids=["after a change", "after a start"])
async def test_a_thousand_requests_at_once_load_once(app: FastAPI, stage: Stage, is_known: bool) -> None:
    kept = app.state.get(ResponseCache)
    for path, size in (("/", 1000), (f"/e/{stage.show.id}", 50), (f"{API}/events/{stage.show.id}/seats", 50)):
        kept.invalidate([UUID(stage.show.id)], loaders.FACTS)
        with queries_of(app) as single:
            first = await stage.world.client.get(path)
        kept.invalidate([UUID(stage.show.id)], loaders.FACTS)
        if not is_known:
            kept._remove(kept._entries[path])
        with queries_of(app) as queries:
            crowd = await asyncio.gather(*(stage.world.client.get(path) for _ in range(size)))
        assert {(answer.status_code, answer.text) for answer in crowd} == {(200, first.text)}
        # Without an entry, one request takes the ordinary route, and the others wait for it and share a load.
        assert len(queries) == len(single) * (1 if is_known else 2)


async def test_requests_wait_no_longer_for_a_first_request_that_fails(app: FastAPI, world: World) -> None:
    unknown = f"{API}/events/{uuid4()}"
    for answer in await asyncio.gather(*(world.client.get(unknown) for _ in range(20))):
        assert refusal(answer, 404)
    assert app.state.get(ResponseCache)._first == {}


async def test_seats_change_at_the_instant_at_which_a_hold_lapses(app: FastAPI, stage: Stage) -> None:
    await hold(stage)
    path, client = f"{API}/events/{stage.show.id}/seats", stage.world.client

    async def first_seat() -> str:
        return str(data(await client.get(path))[0]["status"])

    async with stage.workers.transaction() as session:
        await session.execute(
            text("update event_seats set held_until = now() + interval '0.7 seconds' where status = 'h'")
        )
    clock = asyncio.get_running_loop().time
    app.state.get(ResponseCache).invalidate([UUID(stage.show.id)])
    began = clock()
    assert await first_seat() == "held"
    with queries_of(app) as queries:
        assert await first_seat() == "held"
    assert queries == []
    while await first_seat() == "held":
        assert clock() - began < PATIENCE_SECONDS
        await asyncio.sleep(0.02)
    assert clock() - began > 0.5


async def test_pages_do_without_the_loaders_database_and_lists_say_so(
    app: FastAPI, stage: Stage, settings: Settings
) -> None:
    kept, loading = app.state.get(ResponseCache), app.state.get(Loaders)
    nowhere = Database(settings, url="postgresql+psycopg://nobody@127.0.0.1:9/nothing")
    working, loading.database = loading.database, nowhere
    kept.invalidate([UUID(stage.show.id)], loaders.FACTS)
    for path in PATHS:
        answer = await stage.world.client.get(path.format(id=stage.show.id))
        assert answer.status_code == (503 if path.startswith(API) else 200), path
    loading.database = working
    await nowhere.close()


async def test_too_many_searches_take_the_ordinary_route(
    app: FastAPI, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaders, "SEARCHES_MAX", 0)
    app.state.get(ResponseCache).invalidate([], loaders.FACTS)
    before = served_from("database", "list")
    for _ in range(2):
        (found,) = data(await stage.world.client.get(f"{API}/events?q=show&limit=24"))
        assert found["id"] == stage.show.id
    assert served_from("database", "list") == before
    data(await stage.world.client.get(f"{API}/events"))
    assert served_from("database", "list") == before + 1


async def test_a_change_of_one_organization_leaves_the_events_of_others_in_memory(app: FastAPI, stage: Stage) -> None:
    other = await stage.world.show(rows=1, seats=1)
    await stage.fill()
    data(await other.tenant.admin.patch(other.tenant.path(), {"name": "Elsewhere", "slug": other.tenant.slug}))
    await block_seat(app.state.get(Database), other, 0)
    with queries_of(app) as queries:
        for path in PATHS:
            if "{id}" in path:
                await stage.world.client.get(path.format(id=stage.show.id))
    assert queries == []
