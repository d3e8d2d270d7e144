"""Every list is paginated: complete, in order, each row once; invalid limits and cursors are named."""

import base64
import json
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from tests.support.world import data, refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import Call, build_call, examples_of, send
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.routes import FEED, Route, each_route

#: Devices download the whole list before the doors open.
LARGER = {"GET /orgs/{org_id}/events/{event_id}/check-ins/offline-list": 5000}
ROWS_MIN = 4

lists = each_route(lambda route: route.is_list)


@pytest.fixture(scope="module", autouse=True)
async def enough_rows(tenant: FullTenant) -> None:
    """Create a few rows for every list."""
    for number in range(ROWS_MIN):
        await tenant.world.show(tenant.organization, rows=1, seats=1, starts_at=f"203{number % 2}-01-01T00:00:00Z")
        data(
            await tenant.admin.post(tenant.organization.path("/api-keys"), {"name": "gate", "role": "ORG_SCANNER"}), 201
        )
        data(await tenant.admin.post(tenant.show.path("/devices"), {"name": f"Phone {number}"}), 201)
        webhook_body = {"url": f"https://hooks.example.com/{number}"}
        data(await tenant.admin.post(tenant.organization.path("/webhooks"), webhook_body), 201)
        data(await tenant.admin.post(tenant.organization.path(f"/webhooks/{tenant.webhook['id']}/test")), 201)
        data(
            await tenant.admin.post("/orgs", {"name": "More", "slug": f"more-{number}-{tenant.organization.slug}"}), 201
        )
        await tenant.world.member(tenant.organization, "ORG_SCANNER")
        guest = {"email": f"guest-{number}@example.com", "role": "ORG_SCANNER"}
        data(await tenant.admin.post(tenant.organization.path("/invitations"), guest), 201)
        await tenant.create_order()
    await tenant.buy(ROWS_MIN)


@each_route(lambda route: route.is_list and route.name != FEED)
async def test_pages_contain_every_row_once(client: httpx2.AsyncClient, tenant: FullTenant, route: Route) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    whole, _ = await _page(client, call, limit="100")
    assert len(whole) >= ROWS_MIN, "enough_rows must create rows of this kind"
    for size in (1, 3):
        assert await _walk(client, call, size, len(whole)) == whole
    twenty, _ = await _page(client, call)
    assert twenty == whole[: LARGER.get(route.name, 20)]


async def _walk(client: httpx2.AsyncClient, call: Call, size: int, rows_max: int) -> list[Any]:
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        rows, following = await _page(client, call, limit=str(size), **cursor)
        found += rows
        if following is None or len(found) >= rows_max:
            return found[:rows_max]
        assert len(rows) == size, "only the last page is short"
        cursor = {"cursor": following}


async def _page(client: httpx2.AsyncClient, call: Call, **query: str) -> tuple[list[Any], str | None]:
    response = await send(client, replace(call, query={**call.query, **query}))
    rows: list[Any] = data(response)
    meta = response.json()["meta"]
    assert meta.keys() == {"next_cursor"}
    return rows, meta["next_cursor"]


@lists
async def test_invalid_limits_and_cursors_are_named(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    too_many = str(LARGER.get(route.name, 100) + 1)
    wrong = {"limit": ("0", "-1", "abc", "1.5", too_many), "cursor": ("garbage", "bnVsbA", "W10", "WzFd", "WyIxIl0")}
    for name, values in wrong.items():
        for value in values:
            error = refusal(await send(client, replace(call, query={name: value})), 422)
            assert (error["code"], error["field"]) == ("invalid", name), value


@lists
async def test_the_cursor_of_another_list_is_accepted_or_named(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    _, by_id = await _page(client, Call(tenant.buyer, route="GET /me/orders"), limit="1")
    _, by_time = await _page(client, Call(None, route="GET /events"), limit="1")
    for cursor in (by_id, by_time):
        assert cursor
        response = await send(client, replace(call, query={"cursor": cursor}))
        assert response.status_code == 200 or refusal(response, 422)["field"] == "cursor"


#: Parts that no list writes into a cursor, and times at the ends of what Python and Postgres can store.
FORGED = (
    True, None, 0.5, -1, 2**62, 2**80, "", "x", "a\0b", "\ud800", [], {},
    "9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2030-01-01T00:00:00", "18446744073709551615",
)  # fmt: skip


@lists
async def test_a_cursor_with_a_forged_part_is_accepted_or_refused_by_name(
    client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    _, cursor = await _page(client, call, limit="1")
    assert cursor
    position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for place in range(len(position)):
        for forged in FORGED:
            changed = json.dumps([*position[:place], forged, *position[place + 1 :]]).encode()
            text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
            response = await send(client, replace(call, query={"cursor": text}))
            assert response.status_code in {200, 410} or refusal(response, 422)["field"] == "cursor", (place, forged)
