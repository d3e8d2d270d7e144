"""The change feed: a tenant's facts, all of them, in order, from wherever a cursor stands."""

import asyncio
import time
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.modules.webhooks.facts import announce, painted, write
from tests.support.world import Person, Tenant, World, data, refusal
from ticketing.infra.db import Database
from ticketing.infra.http.pagination import write_cursor
from ticketing.infra.http.server import Shutdown
from ticketing.modules.webhooks.feed import long_poll
from ticketing.modules.webhooks.feed.long_poll import Lookout


async def page(reader: Person, tenant: Tenant, **query: Any) -> tuple[list[dict[str, Any]], str]:
    answer = await reader.get(tenant.path("/feed"), params=query)
    return data(answer), answer.json()["meta"]["next_cursor"]


async def walk(tenant: Tenant, size: int, cursor: str | None = None, **query: Any) -> list[dict[str, Any]]:
    """Every fact from the cursor on, page by page."""
    met: list[dict[str, Any]] = []
    while True:
        rows, cursor = await page(tenant.admin, tenant, limit=size, **({"cursor": cursor} if cursor else {}), **query)
        met += rows
        if not rows:
            return met


def words(items: list[dict[str, Any]]) -> list[str]:
    return [item["data"]["colour"] for item in items if item["type"] == "wall.painted"]


async def test_a_tenant_reads_all_its_facts_in_order_in_pages_of_any_size(world: World) -> None:
    tenant = await world.tenant()
    await world.show(tenant)
    whole, _ = await page(tenant.admin, tenant, limit=100)
    types = [item["type"] for item in whole]
    assert types[0] == "organization.created"
    assert types.index("venue.created") < types.index("event.created")
    assert types[-1] == "event.published"
    assert whole[0].keys() == {"id", "type", "occurred_at", "schema_version", "data"}
    assert whole[0]["data"]["organization_id"] == tenant.id
    for size in (1, 2, 7):
        assert await walk(tenant, size) == whole


async def test_a_row_that_commits_late_is_not_lost(world: World, database: Database) -> None:
    """A cursor that said "after this row" would have passed it: its number is smaller than one that is read already."""
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    async with database.transaction() as late:
        announce(late, painted(tenant, "late"))
        await late.flush()
        await write(database, painted(tenant, "early"))
        rows, waiting = await page(tenant.admin, tenant, cursor=cursor)
        assert rows == [], "a window ends before the oldest transaction that still runs"
    assert words(await walk(tenant, 1, waiting)) == ["late", "early"]
    assert words(await walk(tenant, 1, cursor)) == ["late", "early"]


async def test_a_third_transaction_between_two_facts_does_not_swap_them(world: World, database: Database) -> None:
    """Neither the horizon of the moment nor one that was noted falls between two facts of one key."""
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    async with database.transaction() as third:
        async with database.transaction() as first:
            await first.execute(text("select pg_current_xact_id()"))
            await third.execute(text("select pg_current_xact_id()"))
            await write(database, painted(tenant, "red"))
            announce(first, painted(tenant, "red"))
        await note_horizon(database)
        assert (await page(tenant.admin, tenant, cursor=cursor))[0] == []
    await write(database, painted(tenant, "blue"))
    async with database.transaction() as session:
        told = "select message_id::text from outbox where topic = 'wall.painted' order by id"
        in_order = list(await session.scalars(text(told)))
    for size in (1, 2, 100):
        assert [item["id"] for item in await walk(tenant, size, cursor)] == in_order


async def test_what_is_read_again_from_an_old_cursor_is_the_same(world: World, database: Database) -> None:
    tenant = await world.tenant()
    _, begin = await page(tenant.admin, tenant, limit=100)
    await write(database, *[painted(tenant, str(n)) for n in range(10)])
    rows, middle = await page(tenant.admin, tenant, cursor=begin, limit=4)
    await write(database, painted(tenant, "later"))
    again, _ = await page(tenant.admin, tenant, cursor=begin, limit=4)
    assert again == rows
    expected = [*map(str, range(10)), "later"]
    assert words(await walk(tenant, 3, begin)) == expected
    assert words(await walk(tenant, 3, middle)) == expected[4:]


async def test_days_are_read_in_many_windows_and_nothing_between_them_is_lost(world: World, database: Database) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    _, begin = await page(tenant.admin, tenant, limit=100)
    for n in range(12):
        await write(database, painted(tenant, str(n)), painted(other, "theirs"))
        await note_horizon(database)
    for size in (1, 2, 5, 100):
        assert words(await walk(tenant, size, begin)) == [str(n) for n in range(12)]
    _, cursor = await page(tenant.admin, tenant, cursor=begin, limit=2)
    async with database.transaction() as session:
        horizons = list(await session.scalars(text("select xid::text from log_horizons")))
    assert window_to(cursor) in horizons, "its window ends at a horizon that was noted, not at the end of the log"


def window_to(cursor: str) -> str:
    from ticketing.infra.http.pagination import PageQuery

    return str((PageQuery(cursor=cursor).after or [])[1])


async def note_horizon(database: Database) -> None:
    from ticketing.infra.config import get_settings
    from ticketing.workers.scheduler import record_horizon

    async with database.transaction() as session:
        await record_horizon(session, get_settings())


async def test_types_choose_by_name_and_by_prefix(world: World) -> None:
    tenant = await world.tenant()
    await world.show(tenant)
    await world.member(tenant, "ORG_STAFF")

    async def types(wanted: str) -> set[str]:
        return {item["type"] for item in await walk(tenant, 2, types=wanted)}

    assert await types("member.added") == {"member.added"}
    assert await types("event.*, member.added") == {"event.created", "event.published", "member.added"}
    assert await types("order.*") == set()
    for unknown in ("nothing.happened", "event", "event*", "*", "order.paid,x"):
        answer = await tenant.admin.get(tenant.path("/feed"), params={"types": unknown})
        assert refusal(answer, 422)["field"] == "types", unknown


async def test_nothing_of_another_tenant_and_nothing_about_people_is_in_it(world: World, database: Database) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    await write(database, painted(other, "theirs"), painted(None, "nobody's"))
    assert {item["data"]["organization_id"] for item in await walk(tenant, 5)} == {tenant.id}


async def test_only_admins_read_it_and_their_keys(world: World, client: httpx2.AsyncClient) -> None:
    tenant = await world.tenant()
    staff = await world.member(tenant, "ORG_STAFF")
    assert refusal(await staff.get(tenant.path("/feed")), 403)["code"] == "forbidden"
    body = {"name": "books", "role": "ORG_ADMIN"}
    key = data(await tenant.admin.post(tenant.path("/api-keys"), body), 201)["key"]
    answer = await client.get(f"/api/v1{tenant.path('/feed')}", headers={"Authorization": f"ApiKey {key}"})
    assert data(answer)[0]["type"] == "organization.created"


async def test_whoever_waits_is_answered_as_soon_as_there_is_something(world: World, app: FastAPI) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25))
    await until(lambda: app.state.get(Lookout).waiting == 1)
    begun = time.monotonic()
    await world.member(tenant, "ORG_STAFF")
    rows, _ = await waiting
    assert [row["type"] for row in rows] == ["member.added"]
    assert time.monotonic() - begun < 20
    assert app.state.get(Lookout).waiting == 0


async def test_a_nudge_wakes_before_the_next_look_would(
    world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "POLL_SECONDS", 60)
    tenant = await world.tenant()
    await asyncio.sleep(0.6)  # what the stage has told is no news any more
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25))
    await until(lambda: app.state.get(Lookout).waiting == 1)
    await world.member(tenant, "ORG_STAFF")
    rows, _ = await asyncio.wait_for(waiting, 20)
    assert [row["type"] for row in rows] == ["member.added"]


async def test_who_waits_for_one_type_sleeps_through_the_others(world: World, app: FastAPI) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25, types="member.removed"))
    await until(lambda: app.state.get(Lookout).waiting == 1)
    staff = await world.member(tenant, "ORG_STAFF")
    await asyncio.sleep(1)
    assert not waiting.done()
    data(await tenant.admin.delete(tenant.path(f"/members/{staff.id}")))
    rows, _ = await waiting
    assert [row["type"] for row in rows] == ["member.removed"]


async def test_who_waits_in_vain_gets_an_empty_page_and_a_place_to_go_on(world: World, database: Database) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    rows, cursor = await page(tenant.admin, tenant, cursor=cursor, wait=1)
    assert rows == []
    await write(database, painted(tenant, "red"))
    assert words(await walk(tenant, 1, cursor)) == ["red"]


async def test_who_waits_holds_no_connection(world: World, app: FastAPI) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = [asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25)) for _ in range(4)]
    await until(lambda: app.state.get(Lookout).waiting == 4)
    await until(lambda: app.state.get(Database).engine.pool.checkedout() == 0)
    assert not any(one.done() for one in waiting)
    app.state.get(Shutdown).set()
    await asyncio.gather(*waiting)


async def test_more_than_a_few_of_one_tenant_are_answered_at_once(world: World, app: FastAPI) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    most = long_poll.WAITING_OF_TENANT_MAX
    waiting = [asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25)) for _ in range(most)]
    await until(lambda: app.state.get(Lookout).waiting == most)
    rows, _ = await asyncio.wait_for(page(tenant.admin, tenant, cursor=cursor, wait=25), 20)
    assert rows == []
    _, theirs = await page(other.admin, other, limit=100)
    beside = asyncio.create_task(page(other.admin, other, cursor=theirs, wait=1))
    await until(lambda: app.state.get(Lookout).waiting == most + 1)
    app.state.get(Shutdown).set()
    for one in (*waiting, beside):
        assert (await asyncio.wait_for(one, 20))[0] == [], "the end of the process is the end of waiting"
    assert (await asyncio.wait_for(page(tenant.admin, tenant, cursor=cursor, wait=25), 20))[0] == []


async def test_however_many_nudges_come_it_looks_a_few_times_a_second(
    world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    looks, look = [], app.state.get(Lookout)._look

    async def counted() -> None:
        looks.append(time.monotonic())
        await look()

    monkeypatch.setattr(app.state.get(Lookout), "_look", counted)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=2))
    begun = time.monotonic()
    while not waiting.done():
        await other.admin.patch(other.path(), {"name": f"Other {time.monotonic()}"})
    assert 1 <= len(looks) <= (time.monotonic() - begun) / long_poll.LOOK_SECONDS + 2
    assert (await waiting)[0] == [], "another tenant's news is none"


async def test_a_cursor_behind_what_is_kept_has_expired(world: World) -> None:
    tenant = await world.tenant()
    old = write_cursor(["1", "", 0, 1_600_000_000])
    assert (
        refusal(await tenant.admin.get(tenant.path("/feed"), params={"cursor": old}), 410)["code"] == "cursor_expired"
    )


async def test_a_cursor_of_a_database_that_was_put_back_has_expired(world: World) -> None:
    """It would wait for ever: its transactions have yet to come, and others will have taken their numbers."""
    tenant = await world.tenant()
    ahead = write_cursor([str(2**40), "", 0, int(time.time())])
    answer = await tenant.admin.get(tenant.path("/feed"), params={"cursor": ahead})
    assert refusal(answer, 410)["code"] == "cursor_expired"


@pytest.mark.parametrize(
    "position",
    [
        ["1"],
        ["1", "", 0],
        ["x", "", 0, 1],
        ["-1", "", 0, 1],
        ["1", "x", 0, 1],
        ["٣", "", 0, 1],
        [str(2**64), "", 0, 1],
        ["1", "", -1, 1],
        ["1", "", 0, 2**40],
        [1, "", 0, 1],
    ],
)
async def test_a_forged_cursor_is_refused_by_name(world: World, position: list[Any]) -> None:
    tenant = await world.tenant()
    answer = await tenant.admin.get(tenant.path("/feed"), params={"cursor": write_cursor(position)})
    assert refusal(answer, 422)["field"] == "cursor"
