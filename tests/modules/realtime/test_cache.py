"""Cached responses equal those from the database, whatever commits, lapses or is rolled back meanwhile."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.caching import (
    LONG_SECONDS,
    begin,
    block_seat,
    loads_blocked,
    queries_of,
    served_from,
    statuses,
    warm_up,
)
from tests.modules.realtime.live import show_changes, until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules.realtime.response_cache import cache, loaders
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.loaders import Loaders


@pytest.fixture(autouse=True)
def _nothing_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(loaders, "COUNTS_TTL_SECONDS", LONG_SECONDS)


async def test_an_unchanged_map_is_loaded_once(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=3)
    await warm_up(app, world.client, show)
    assert await statuses(world.client, show) == "aaa"
    before = served_from("memory")
    with queries_of(app) as queries:
        for _ in range(20):
            assert await statuses(world.client, show) == "aaa"
    assert (queries, served_from("memory") - before) == ([], 20)


async def test_every_change_of_a_seat_is_visible_at_once(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=4), await world.person()
    admin = show.tenant.admin
    await warm_up(app, world.client, show)
    seen = [await statuses(world.client, show)]
    held = await world.hold(buyer, show, "Stalls-A-1")
    seen.append(await statuses(world.client, show))
    data(await buyer.delete(f"/reservations/{held['id']}"))
    seen.append(await statuses(world.client, show))
    data(await admin.post(show.path("/seats/block"), {"seats": ["Stalls-A-2"]}))
    seen.append(await statuses(world.client, show))
    data(await admin.post(show.path("/seats/unblock"), {"seats": ["Stalls-A-2"]}))
    seen.append(await statuses(world.client, show))
    await world.buy(buyer, show, "Stalls-A-3")
    seen.append(await statuses(world.client, show))
    assert seen == ["aaaa", "haaa", "aaaa", "abaa", "aaaa", "aasa"]


async def test_places_follow_every_hold_and_every_new_ticket_type(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=1, capacity=10), await world.person()
    path = f"{API}/events/{show.id}/availability"
    await warm_up(app, world.client, show)
    left = []
    for quantity in (1, 2):
        await world.hold(buyer, show, items=[{"ticket_type_id": show.area_type_id, "quantity": quantity}])
        left.append(data(await world.client.get(path))["areas"][show.area_type_id]["available"])
    assert left == [9, 7]
    data(await show.tenant.admin.post(show.path("/ticket-types"), {"name": "Pit", "price": 1, "capacity": 5}), 201)
    assert len(data(await world.client.get(path))["areas"]) == 2


async def test_a_change_during_a_load_is_not_hidden_by_the_loaded_response(
    app: FastAPI, world: World, owner: Database
) -> None:
    show = await world.show(rows=1, seats=2)
    await warm_up(app, world.client, show)
    async with loads_blocked(owner):
        early = await begin(owner, world.client.get(f"{API}/events/{show.id}/availability"))
        await block_seat(app.state.get(Database), show, 0)
    assert data(await early)["seats"] == "aa"  # requested before the change
    assert await statuses(world.client, show) == "ba"


async def test_requests_during_a_load_share_the_next_load(app: FastAPI, world: World, owner: Database) -> None:
    show = await world.show(rows=1, seats=2)
    await warm_up(app, world.client, show)
    with queries_of(app) as queries:
        async with loads_blocked(owner):
            early = await begin(owner, world.client.get(f"{API}/events/{show.id}/availability"))
            await block_seat(app.state.get(Database), show, 0)
            late = [asyncio.ensure_future(statuses(world.client, show)) for _ in range(20)]
            await asyncio.sleep(0.05)
        assert await asyncio.gather(*late) == ["ba"] * 20
        await early
    assert sum("string_agg" in statement for statement in queries) == 2


async def test_a_cancelled_request_does_not_cancel_the_load_for_the_others(
    app: FastAPI, world: World, owner: Database
) -> None:
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    await warm_up(app, world.client, show)
    async with loads_blocked(owner):
        leaving = await begin(owner, world.client.get(path))
        staying = [asyncio.ensure_future(statuses(world.client, show)) for _ in range(3)]
        await asyncio.sleep(0.05)
        leaving.cancel()
        staying[0].cancel()
        await asyncio.sleep(0)
    assert await asyncio.gather(*staying[1:]) == ["aa"] * 2


async def test_a_hold_that_runs_out_is_available_at_that_instant(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    await world.hold(await world.person(), show, "Stalls-A-1")
    await warm_up(app, world.client, show)
    async with app.state.worker_database.transaction() as session:
        soon = "update event_seats set held_until = now() + interval '0.7 seconds' where status = 'h'"
        await session.execute(text(soon))
    clock = asyncio.get_running_loop().time
    began = clock()
    assert await statuses(world.client, show) == "ha"
    with queries_of(app) as queries:
        assert await statuses(world.client, show) == "ha"
    assert queries == []
    while await statuses(world.client, show) == "ha":
        assert clock() - began < PATIENCE_SECONDS
        await asyncio.sleep(0.02)
    assert clock() - began > 0.5


async def test_a_change_whose_news_is_lost_is_seen_when_the_copy_has_had_its_time(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "TTL_SECONDS", 0.3)
    show = await world.show(rows=1, seats=2)
    await warm_up(app, world.client, show)
    assert await statuses(world.client, show) == "aa"
    await block_seat(app.state.worker_database, show, 0)  # without a notification
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await statuses(world.client, show) == "aa":  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.02)


async def test_a_rolled_back_change_is_never_visible(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    await warm_up(app, world.client, show)
    assert await statuses(world.client, show) == "aa"

    async def fail() -> None:
        async with app.state.get(Database).transaction() as session:
            await session.execute(text("select set_config('app.organization_id', :id, true)"), {"id": show.tenant.id})
            await session.execute(text("update event_seats set status = 'b'"))
            assert await statuses(world.client, show) == "aa"
            raise ValueError("as agreed")

    with pytest.raises(ValueError, match=r"^as agreed$"):
        await fail()
    assert await statuses(world.client, show) == "aa"


async def test_the_version_follows_the_frames(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    await warm_up(app, world.client, show)
    await world.hold(await world.person(), show, "Stalls-A-1")
    assert data(await world.client.get(path))["version"] == 0
    await show_changes(app)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while data(await world.client.get(path))["version"] == 0:  # noqa: ASYNC110 (there is no event to wait for)
            await asyncio.sleep(0.01)


async def test_a_load_that_times_out_is_a_503_for_every_waiting_request(
    app: FastAPI, world: World, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "LOAD_SECONDS_MAX", 0.2)
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    await warm_up(app, world.client, show)
    async with loads_blocked(owner):
        for answer in await asyncio.gather(*(world.client.get(path) for _ in range(3))):
            assert refusal(answer, 503)["code"] == "dependency_down"
            assert int(answer.headers["Retry-After"]) > 0
    monkeypatch.undo()
    assert await statuses(world.client, show) == "aa"


async def test_the_number_of_cached_maps_is_bounded(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "ENTRIES_MAX", 2)
    tenant = await world.tenant()
    shows = [await world.show(tenant, rows=1, seats=n) for n in (1, 2, 3)]
    await warm_up(app, world.client, *shows)
    before = served_from("memory")
    for _ in range(3):
        assert [await statuses(world.client, show) for show in shows[1:]] == ["aa", "aaa"]
    assert served_from("memory") - before == 4
    assert await statuses(world.client, shows[0]) == "a"


async def test_logged_in_buyers_share_the_load(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await warm_up(app, world.client, show)
    assert await statuses(world.client, show) == "aa"
    path = f"/events/{show.id}/availability"
    with queries_of(app) as queries:
        assert data(await buyer.get(path))["seats"] == "aa"
    assert queries == []
    await world.hold(buyer, show, "Stalls-A-1")
    assert data(await buyer.get(path))["seats"] == "ha"


async def test_one_connection_serves_any_number_of_requests(app: FastAPI, world: World, owner: Database) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await warm_up(app, world.client, show)
    pool = app.state.get(Loaders).database.engine.pool
    async with loads_blocked(owner):
        crowd = [asyncio.ensure_future(buyer.get(f"/events/{show.id}/availability")) for _ in range(40)]
        await until(lambda: pool.checkedout() > 0)
        await asyncio.sleep(0.1)
        assert (pool.checkedout(), app.state.get(Database).engine.pool.checkedout()) == (1, 0)
    assert {data(answer)["seats"] for answer in await asyncio.gather(*crowd)} == {"aa"}


async def test_viewers_do_not_wait_for_the_connections_of_buyers(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    await warm_up(app, world.client, show)
    app.state.get(ResponseCache).invalidate([UUID(show.id)])
    async with AsyncExitStack() as all_connections:
        for _ in range(app.state.get(Settings).database_pool_size):
            session = await all_connections.enter_async_context(app.state.get(Database).transaction())
            await session.connection()
        assert await statuses(world.client, show) == "aa"
