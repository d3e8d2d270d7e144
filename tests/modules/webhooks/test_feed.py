"""The change feed: all messages of a tenant, in order, from a cursor on."""

import asyncio
import time
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.modules.webhooks.messages import painted, publish
from tests.support.world import Person, Tenant, World, data, refusal
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.infra.http.pagination import write_cursor
from ticketing.infra.http.server import Shutdown
from ticketing.modules.webhooks.feed import long_poll
from ticketing.modules.webhooks.feed.long_poll import LongPoll


async def page(reader: Person, tenant: Tenant, **query: Any) -> tuple[list[dict[str, Any]], str]:
    response = await reader.get(tenant.path("/feed"), params=query)
    return data(response), response.json()["meta"]["next_cursor"]


async def walk(tenant: Tenant, size: int, cursor: str | None = None, **query: Any) -> list[dict[str, Any]]:
    """All messages from the cursor on, page by page."""
    found: list[dict[str, Any]] = []
    while True:
        rows, cursor = await page(tenant.admin, tenant, limit=size, **({"cursor": cursor} if cursor else {}), **query)
        found += rows
        if not rows:
            return found


def colours(items: list[dict[str, Any]]) -> list[str]:
    return [item["data"]["colour"] for item in items if item["type"] == "wall.painted"]


async def test_a_tenant_reads_all_its_messages_in_order_in_pages_of_any_size(world: World) -> None:
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


async def test_a_message_that_commits_late_is_not_lost(world: World, database: Database) -> None:
    """A cursor of the form "after this row" would skip it: its id is smaller than one that was read already."""
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    async with database.transaction() as late:
        outbox.publish(late, painted(tenant, "late"))
        await late.flush()
        await publish(database, painted(tenant, "early"))
        rows, waiting = await page(tenant.admin, tenant, cursor=cursor)
        assert rows == [], "a window ends before the oldest running transaction"
    assert colours(await walk(tenant, 1, waiting)) == ["late", "early"]
    assert colours(await walk(tenant, 1, cursor)) == ["late", "early"]


async def test_overlapping_transactions_do_not_swap_two_messages_of_a_key(world: World, database: Database) -> None:
    """Neither the current horizon nor a recorded one falls between two messages of one key."""
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    async with database.transaction() as third:
        async with database.transaction() as first:
            await first.execute(text("select pg_current_xact_id()"))
            await third.execute(text("select pg_current_xact_id()"))
            await publish(database, painted(tenant, "red"))
            outbox.publish(first, painted(tenant, "red"))
        await record_horizon_now(database)
        assert (await page(tenant.admin, tenant, cursor=cursor))[0] == []
    await publish(database, painted(tenant, "blue"))
    async with database.transaction() as session:
        query = "select message_id::text from outbox where topic = 'wall.painted' order by id"
        in_order = list(await session.scalars(text(query)))
    for size in (1, 2, 100):
        assert [item["id"] for item in await walk(tenant, size, cursor)] == in_order


async def test_an_old_cursor_returns_the_same_messages_again(world: World, database: Database) -> None:
    tenant = await world.tenant()
    _, begin = await page(tenant.admin, tenant, limit=100)
    await publish(database, *[painted(tenant, str(n)) for n in range(10)])
    rows, middle = await page(tenant.admin, tenant, cursor=begin, limit=4)
    await publish(database, painted(tenant, "later"))
    again, _ = await page(tenant.admin, tenant, cursor=begin, limit=4)
    assert again == rows
    expected = [*map(str, range(10)), "later"]
    assert colours(await walk(tenant, 3, begin)) == expected
    assert colours(await walk(tenant, 3, middle)) == expected[4:]


async def test_a_long_log_is_read_in_many_windows_without_gaps(world: World, database: Database) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    _, begin = await page(tenant.admin, tenant, limit=100)
    for n in range(12):
        await publish(database, painted(tenant, str(n)), painted(other, "theirs"))
        await record_horizon_now(database)
    for size in (1, 2, 5, 100):
        assert colours(await walk(tenant, size, begin)) == [str(n) for n in range(12)]
    _, cursor = await page(tenant.admin, tenant, cursor=begin, limit=2)
    async with database.transaction() as session:
        horizons = list(await session.scalars(text("select xid::text from log_horizons")))
    assert window_to(cursor) in horizons, "its window ends at a recorded horizon, not at the end of the log"


def window_to(cursor: str) -> str:
    from ticketing.infra.http.pagination import PageQuery

    return str((PageQuery(cursor=cursor).after or [])[1])


async def record_horizon_now(database: Database) -> None:
    from ticketing.infra.config import get_settings
    from ticketing.workers.scheduler import record_horizon

    async with database.transaction() as session:
        await record_horizon(session, get_settings())


async def test_types_select_by_name_and_by_prefix(world: World) -> None:
    tenant = await world.tenant()
    await world.show(tenant)
    await world.member(tenant, "ORG_STAFF")

    async def types(wanted: str) -> set[str]:
        return {item["type"] for item in await walk(tenant, 2, types=wanted)}

    assert await types("member.added") == {"member.added"}
    assert await types("event.*, member.added") == {"event.created", "event.published", "member.added"}
    assert await types("order.*") == set()
    for unknown in ("nothing.happened", "event", "event*", "*", "order.paid,x"):
        response = await tenant.admin.get(tenant.path("/feed"), params={"types": unknown})
        assert refusal(response, 422)["field"] == "types", unknown


async def test_the_feed_has_no_message_of_another_tenant_or_of_none(world: World, database: Database) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    await publish(database, painted(other, "theirs"), painted(None, "without a tenant"))
    assert {item["data"]["organization_id"] for item in await walk(tenant, 5)} == {tenant.id}


async def test_only_admins_and_their_api_keys_read_the_feed(world: World, client: httpx2.AsyncClient) -> None:
    tenant = await world.tenant()
    staff = await world.member(tenant, "ORG_STAFF")
    assert refusal(await staff.get(tenant.path("/feed")), 403)["code"] == "forbidden"
    body = {"name": "books", "role": "ORG_ADMIN"}
    key = data(await tenant.admin.post(tenant.path("/api-keys"), body), 201)["key"]
    response = await client.get(f"/api/v1{tenant.path('/feed')}", headers={"Authorization": f"ApiKey {key}"})
    assert data(response)[0]["type"] == "organization.created"


async def test_a_long_poll_returns_as_soon_as_there_is_a_message(world: World, app: FastAPI) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25))
    await until(lambda: app.state.get(LongPoll).waiting == 1)
    started = time.monotonic()
    await world.member(tenant, "ORG_STAFF")
    rows, _ = await waiting
    assert rows[0]["type"] == "member.invited"
    assert time.monotonic() - started < 20
    assert app.state.get(LongPoll).waiting == 0


async def test_a_commit_notification_wakes_a_long_poll_before_the_next_query(
    world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "POLL_SECONDS", 60)
    tenant = await world.tenant()
    await asyncio.sleep(0.6)  # notifications of the set-up have been processed
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25))
    await until(lambda: app.state.get(LongPoll).waiting == 1)
    await world.member(tenant, "ORG_STAFF")
    rows, _ = await asyncio.wait_for(waiting, 20)
    assert rows[0]["type"] == "member.invited"


async def test_a_long_poll_for_one_type_ignores_the_others(world: World, app: FastAPI) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25, types="member.removed"))
    await until(lambda: app.state.get(LongPoll).waiting == 1)
    staff = await world.member(tenant, "ORG_STAFF")
    await asyncio.sleep(1)
    assert not waiting.done()
    data(await tenant.admin.delete(tenant.path(f"/members/{staff.id}")))
    rows, _ = await waiting
    assert [row["type"] for row in rows] == ["member.removed"]


async def test_a_long_poll_that_times_out_returns_an_empty_page_and_a_cursor(world: World, database: Database) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    rows, cursor = await page(tenant.admin, tenant, cursor=cursor, wait=1)
    assert rows == []
    await publish(database, painted(tenant, "red"))
    assert colours(await walk(tenant, 1, cursor)) == ["red"]


async def test_a_long_poll_holds_no_connection(world: World, app: FastAPI) -> None:
    tenant = await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    waiting = [asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25)) for _ in range(4)]
    await until(lambda: app.state.get(LongPoll).waiting == 4)
    await until(lambda: app.state.get(Database).engine.pool.checkedout() == 0)
    assert not any(each.done() for each in waiting)
    app.state.get(Shutdown).set()
    await asyncio.gather(*waiting)


async def test_long_polls_above_the_limit_per_tenant_return_at_once(world: World, app: FastAPI) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    most = long_poll.WAITERS_PER_TENANT_MAX
    waiting = [asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=25)) for _ in range(most)]
    await until(lambda: app.state.get(LongPoll).waiting == most)
    rows, _ = await asyncio.wait_for(page(tenant.admin, tenant, cursor=cursor, wait=25), 20)
    assert rows == []
    _, other_cursor = await page(other.admin, other, limit=100)
    other_waiting = asyncio.create_task(page(other.admin, other, cursor=other_cursor, wait=1))
    await until(lambda: app.state.get(LongPoll).waiting == most + 1)
    app.state.get(Shutdown).set()
    for each in (*waiting, other_waiting):
        assert (await asyncio.wait_for(each, 20))[0] == [], "a shutdown ends all long polls"
    assert (await asyncio.wait_for(page(tenant.admin, tenant, cursor=cursor, wait=25), 20))[0] == []


async def test_many_commit_notifications_cause_few_queries(
    world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, other = await world.tenant(), await world.tenant()
    _, cursor = await page(tenant.admin, tenant, limit=100)
    queried_at, query = [], app.state.get(LongPoll)._query

    async def counted() -> None:
        queried_at.append(time.monotonic())
        await query()

    monkeypatch.setattr(app.state.get(LongPoll), "_query", counted)
    waiting = asyncio.create_task(page(tenant.admin, tenant, cursor=cursor, wait=2))
    started = time.monotonic()
    while not waiting.done():
        await other.admin.patch(other.path(), {"name": f"Other {time.monotonic()}"})
    assert 1 <= len(queried_at) <= (time.monotonic() - started) / long_poll.QUERY_INTERVAL_SECONDS + 2
    assert (await waiting)[0] == [], "the messages belong to another tenant"


async def test_a_cursor_before_the_retained_log_has_expired(world: World) -> None:
    tenant = await world.tenant()
    old = write_cursor(["1", "", 0, 1_600_000_000])
    assert (
        refusal(await tenant.admin.get(tenant.path("/feed"), params={"cursor": old}), 410)["code"] == "cursor_expired"
    )


async def test_a_cursor_ahead_of_a_restored_database_has_expired(world: World) -> None:
    """It would wait for transactions to come, whose ids would then belong to other messages."""
    tenant = await world.tenant()
    ahead = write_cursor([str(2**40), "", 0, int(time.time())])
    response = await tenant.admin.get(tenant.path("/feed"), params={"cursor": ahead})
    assert refusal(response, 410)["code"] == "cursor_expired"


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
async def test_a_malformed_cursor_is_refused_naming_the_field(world: World, position: list[Any]) -> None:
    tenant = await world.tenant()
    response = await tenant.admin.get(tenant.path("/feed"), params={"cursor": write_cursor(position)})
    assert refusal(response, 422)["field"] == "cursor"
