"""Answers from memory are those that the database would give: whatever commits, lapses or is rolled back meanwhile."""

import asyncio
from contextlib import AsyncExitStack
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.copying import LONG_SECONDS, answers, begin, block_seat, held_up, know, letters, statements
from tests.modules.realtime.live import show_changes, until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules.realtime.response_cache import cache as copies
from ticketing.modules.realtime.response_cache import loaders
from ticketing.modules.realtime.response_cache.cache import Copies
from ticketing.modules.realtime.response_cache.loaders import Readings


@pytest.fixture(autouse=True)
def _nothing_ends_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "LIFE_SECONDS", LONG_SECONDS)
    monkeypatch.setattr(loaders, "COUNTS_LIFE_SECONDS", LONG_SECONDS)


async def test_a_map_that_nobody_changes_is_read_once(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=3)
    await know(app, world.client, show)
    assert await letters(world.client, show) == "aaa"
    before = answers("memory")
    with statements(app) as asked:
        for _ in range(20):
            assert await letters(world.client, show) == "aaa"
    assert (asked, answers("memory") - before) == ([], 20)


async def test_everything_that_happens_to_a_seat_is_seen_at_once(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=4), await world.person()
    admin = show.tenant.admin
    await know(app, world.client, show)
    seen = [await letters(world.client, show)]
    held = await world.hold(buyer, show, "Stalls-A-1")
    seen.append(await letters(world.client, show))
    data(await buyer.delete(f"/reservations/{held['id']}"))
    seen.append(await letters(world.client, show))
    data(await admin.post(show.path("/seats/block"), {"seats": ["Stalls-A-2"]}))
    seen.append(await letters(world.client, show))
    data(await admin.post(show.path("/seats/unblock"), {"seats": ["Stalls-A-2"]}))
    seen.append(await letters(world.client, show))
    await world.buy(buyer, show, "Stalls-A-3")
    seen.append(await letters(world.client, show))
    assert seen == ["aaaa", "haaa", "aaaa", "abaa", "aaaa", "aasa"]


async def test_places_are_counted_anew_with_every_hold_and_every_new_ticket_type(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=1, capacity=10), await world.person()
    path = f"{API}/events/{show.id}/availability"
    await know(app, world.client, show)
    left = []
    for quantity in (1, 2):
        await world.hold(buyer, show, items=[{"ticket_type_id": show.area_type_id, "quantity": quantity}])
        left.append(data(await world.client.get(path))["areas"][show.area_type_id]["available"])
    assert left == [9, 7]
    data(await show.tenant.admin.post(show.path("/ticket-types"), {"name": "Pit", "price": 1, "capacity": 5}), 201)
    assert len(data(await world.client.get(path))["areas"]) == 2


async def test_a_change_that_commits_during_a_reading_is_not_hidden_by_what_was_read(
    app: FastAPI, world: World, owner: Database
) -> None:
    show = await world.show(rows=1, seats=2)
    await know(app, world.client, show)
    async with held_up(owner):
        early = await begin(owner, world.client.get(f"{API}/events/{show.id}/availability"))
        await block_seat(app.state.get(Database), show, 0)
    assert data(await early)["seats"] == "aa"  # it was asked before the change
    assert await letters(world.client, show) == "ba"


async def test_who_comes_during_a_reading_waits_for_the_next_together_with_all_others(
    app: FastAPI, world: World, owner: Database
) -> None:
    show = await world.show(rows=1, seats=2)
    await know(app, world.client, show)
    with statements(app) as asked:
        async with held_up(owner):
            early = await begin(owner, world.client.get(f"{API}/events/{show.id}/availability"))
            await block_seat(app.state.get(Database), show, 0)
            late = [asyncio.ensure_future(letters(world.client, show)) for _ in range(20)]
            await asyncio.sleep(0.05)
        assert await asyncio.gather(*late) == ["ba"] * 20
        await early
    assert sum("string_agg" in statement for statement in asked) == 2


async def test_one_who_leaves_does_not_take_the_reading_away_from_the_others(
    app: FastAPI, world: World, owner: Database
) -> None:
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    await know(app, world.client, show)
    async with held_up(owner):
        leaving = await begin(owner, world.client.get(path))
        staying = [asyncio.ensure_future(letters(world.client, show)) for _ in range(3)]
        await asyncio.sleep(0.05)
        leaving.cancel()
        staying[0].cancel()
        await asyncio.sleep(0)
    assert await asyncio.gather(*staying[1:]) == ["aa"] * 2


async def test_a_hold_that_runs_out_is_available_at_that_instant(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    await world.hold(await world.person(), show, "Stalls-A-1")
    await know(app, world.client, show)
    async with app.state.worker_database.transaction() as session:
        soon = "update event_seats set held_until = now() + interval '0.7 seconds' where status = 'h'"
        await session.execute(text(soon))
    clock = asyncio.get_running_loop().time
    began = clock()
    assert await letters(world.client, show) == "ha"
    with statements(app) as asked:
        assert await letters(world.client, show) == "ha"
    assert asked == []
    while await letters(world.client, show) == "ha":
        assert clock() - began < PATIENCE_SECONDS
        await asyncio.sleep(0.02)
    assert clock() - began > 0.5


async def test_a_change_whose_news_is_lost_is_seen_when_the_copy_has_had_its_time(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "LIFE_SECONDS", 0.3)
    show = await world.show(rows=1, seats=2)
    await know(app, world.client, show)
    assert await letters(world.client, show) == "aa"
    await block_seat(app.state.worker_database, show, 0)  # which tells nobody
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await letters(world.client, show) == "aa":  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.02)


async def test_what_is_rolled_back_was_never_on_the_map(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    await know(app, world.client, show)
    assert await letters(world.client, show) == "aa"

    async def fail() -> None:
        async with app.state.get(Database).transaction() as session:
            await session.execute(text("select set_config('app.organization_id', :id, true)"), {"id": show.tenant.id})
            await session.execute(text("update event_seats set status = 'b'"))
            assert await letters(world.client, show) == "aa"
            raise ValueError("as agreed")

    with pytest.raises(ValueError, match=r"^as agreed$"):
        await fail()
    assert await letters(world.client, show) == "aa"


async def test_the_version_follows_the_frames(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    await know(app, world.client, show)
    await world.hold(await world.person(), show, "Stalls-A-1")
    assert data(await world.client.get(path))["version"] == 0
    await show_changes(app)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while data(await world.client.get(path))["version"] == 0:  # noqa: ASYNC110 (nobody tells us)
            await asyncio.sleep(0.01)


async def test_a_map_that_cannot_be_read_in_time_is_a_503_for_all_who_wait(
    app: FastAPI, world: World, owner: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "READ_SECONDS_MAX", 0.2)
    show = await world.show(rows=1, seats=2)
    path = f"{API}/events/{show.id}/availability"
    await know(app, world.client, show)
    async with held_up(owner):
        for answer in await asyncio.gather(*(world.client.get(path) for _ in range(3))):
            assert refusal(answer, 503)["code"] == "dependency_down"
            assert int(answer.headers["Retry-After"]) > 0
    monkeypatch.undo()
    assert await letters(world.client, show) == "aa"


async def test_copies_are_kept_of_so_many_maps_and_no_more(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "SHELVES_MAX", 2)
    tenant = await world.tenant()
    shows = [await world.show(tenant, rows=1, seats=n) for n in (1, 2, 3)]
    await know(app, world.client, *shows)
    before = answers("memory")
    for _ in range(3):
        assert [await letters(world.client, show) for show in shows[1:]] == ["aa", "aaa"]
    assert answers("memory") - before == 4
    assert await letters(world.client, shows[0]) == "a"


async def test_buyers_who_say_who_they_are_share_the_reading(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await know(app, world.client, show)
    assert await letters(world.client, show) == "aa"
    path = f"/events/{show.id}/availability"
    with statements(app) as asked:
        assert data(await buyer.get(path))["seats"] == "aa"
    assert asked == []
    await world.hold(buyer, show, "Stalls-A-1")
    assert data(await buyer.get(path))["seats"] == "ha"


async def test_one_connection_is_enough_for_a_crowd(app: FastAPI, world: World, owner: Database) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    await know(app, world.client, show)
    pool = app.state.get(Readings).database.engine.pool
    async with held_up(owner):
        crowd = [asyncio.ensure_future(buyer.get(f"/events/{show.id}/availability")) for _ in range(40)]
        await until(lambda: pool.checkedout() > 0)
        await asyncio.sleep(0.1)
        assert (pool.checkedout(), app.state.get(Database).engine.pool.checkedout()) == (1, 0)
    assert {data(answer)["seats"] for answer in await asyncio.gather(*crowd)} == {"aa"}


async def test_viewers_do_not_stand_in_line_behind_everybody_who_buys(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    await know(app, world.client, show)
    app.state.get(Copies).forget([UUID(show.id)])
    async with AsyncExitStack() as all_connections:
        for _ in range(app.state.get(Settings).database_pool_size):
            session = await all_connections.enter_async_context(app.state.get(Database).transaction())
            await session.connection()
        assert await letters(world.client, show) == "aa"
