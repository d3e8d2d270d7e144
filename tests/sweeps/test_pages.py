"""Every list is read in pages: whole, in order, each row once, and bad limits and cursors are named."""

from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.support.world import data, refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (they register the examples)
from tests.sweeps.calls.call import Call, examples_of, make, send
from tests.sweeps.full_tenant import Stage
from tests.sweeps.openapi.routes import FEED, Route, each_route

#: Devices take the whole list before the doors open.
LARGER = {"GET /orgs/{org_id}/events/{event_id}/check-ins/offline-list": 5000}
LEAST_ROWS = 4

lists = each_route(lambda route: route.is_list)


@pytest.fixture(scope="module", autouse=True)
async def enough_rows(stage: Stage) -> None:
    """A few rows in every list that there is."""
    for number in range(LEAST_ROWS):
        await stage.world.show(stage.tenant, rows=1, seats=1, starts_at=f"203{number % 2}-01-01T00:00:00Z")
        data(await stage.admin.post(stage.tenant.path("/api-keys"), {"name": "gate", "role": "ORG_SCANNER"}), 201)
        data(await stage.admin.post(stage.show.path("/devices"), {"name": f"Phone {number}"}), 201)
        hook = {"url": f"https://hooks.example.com/{number}"}
        data(await stage.admin.post(stage.tenant.path("/webhooks"), hook), 201)
        data(await stage.admin.post(stage.tenant.path(f"/webhooks/{stage.webhook['id']}/test")), 201)
        data(await stage.admin.post("/orgs", {"name": "More", "slug": f"more-{number}-{stage.tenant.slug}"}), 201)
        await stage.world.member(stage.tenant, "ORG_SCANNER")
        await stage.pend()
    await stage.buy(LEAST_ROWS)


@each_route(lambda route: route.is_list and route.name != FEED)
async def test_walking_the_pages_meets_every_row_once(client: httpx2.AsyncClient, stage: Stage, route: Route) -> None:
    call = await make(next(examples_of(route.name)), stage)
    whole, _ = await _page(client, call, limit="100")
    assert len(whole) >= LEAST_ROWS, "the sweep has to make rows of this kind"
    for size in (1, 3):
        assert await _walk(client, call, size) == whole
    twenty, _ = await _page(client, call)
    assert twenty == whole[: LARGER.get(route.name, 20)]


async def _walk(client: httpx2.AsyncClient, call: Call, size: int) -> list[Any]:
    met: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        rows, following = await _page(client, call, limit=str(size), **cursor)
        met += rows
        if following is None:
            return met
        assert len(rows) == size, "only the last page is short"
        cursor = {"cursor": following}


async def _page(client: httpx2.AsyncClient, call: Call, **query: str) -> tuple[list[Any], str | None]:
    answer = await send(client, replace(call, query={**call.query, **query}))
    rows: list[Any] = data(answer)
    meta = answer.json()["meta"]
    assert meta.keys() == {"next_cursor"}
    return rows, meta["next_cursor"]


@lists
async def test_limits_and_cursors_that_are_wrong_are_named(
    client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call = await make(next(examples_of(route.name)), stage)
    too_many = str(LARGER.get(route.name, 100) + 1)
    wrong = {"limit": ("0", "-1", "abc", "1.5", too_many), "cursor": ("garbage", "bnVsbA", "W10", "WzFd", "WyIxIl0")}
    for name, values in wrong.items():
        for value in values:
            error = refusal(await send(client, replace(call, query={name: value})), 422)
            assert (error["code"], error["field"]) == ("invalid", name), value


@lists
async def test_the_cursor_of_another_list_is_no_reason_to_fail(
    client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call = await make(next(examples_of(route.name)), stage)
    _, by_id = await _page(client, Call(stage.buyer, route="GET /me/orders"), limit="1")
    _, by_time = await _page(client, Call(None, route="GET /events"), limit="1")
    for cursor in (by_id, by_time):
        assert cursor
        answer = await send(client, replace(call, query={"cursor": cursor}))
        assert answer.status_code == 200 or refusal(answer, 422)["field"] == "cursor"
