"""Calls every route of the document with generated cases: single calls, and chains along its links.

Two tenants call, each with ids of both. No call may cause a server error, get an undocumented response, or change a row
of the other tenant.
"""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from tests.fuzz.caller import CALLS, Caller
from tests.fuzz.generate import run_chains, try_route
from tests.fuzz.size import SIZE, TRIED
from tests.fuzz.tenant_state import read_tenant
from tests.support.world import World
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.database_state import changed_tables
from tests.sweeps.full_tenant import FullTenant, create_full_tenant
from tests.sweeps.openapi.routes import STREAM, Route, all_routes

#: Omitted routes, with the reason.
NOT_CALLED = {STREAM: "it does not end; tests/modules/realtime and the sweeps test it"}
#: Called last: they delete or consume what the other routes need.
DESTRUCTIVE = ("DELETE", "/cancel", "/transfer", "/refunds", "/erase")


def every_route() -> list[Route]:
    """All routes, the destructive ones last."""
    routes = [route for route in all_routes().values() if route.name not in NOT_CALLED]
    return sorted(routes, key=lambda route: any(word in route.name for word in DESTRUCTIVE))


@pytest.fixture(scope="module")
async def tenants(app: FastAPI, world: World, tenant: FullTenant) -> tuple[FullTenant, FullTenant]:
    return tenant, await create_full_tenant(app, world, "other")


@pytest.fixture(scope="module")
async def callers(client: httpx2.AsyncClient, tenants: tuple[FullTenant, FullTenant]) -> list[Caller]:
    """A caller of each tenant, each with the ids of both."""
    loop = asyncio.get_running_loop()
    return [Caller(client, loop, *tenants), Caller(client, loop, *reversed(tenants))]


@pytest.mark.parametrize("route", [pytest.param(route, id=route.name) for route in every_route()])
async def test_a_route_keeps_to_the_document_and_to_its_tenant(
    callers: list[Caller], database_url: str, route: Route
) -> None:
    for caller in callers:
        before = await read_tenant(database_url, caller.other)
        await asyncio.to_thread(try_route, caller, route, SIZE.examples_per_route // 4)
        assert changed_tables(before, await read_tenant(database_url, caller.other)) == []


async def test_chains_of_calls_keep_to_the_document_and_to_their_tenant(
    callers: list[Caller], database_url: str
) -> None:
    for caller in callers:
        before = await read_tenant(database_url, caller.other)
        await asyncio.to_thread(run_chains, caller, SIZE.scenarios // 2)
        assert changed_tables(before, await read_tenant(database_url, caller.other)) == []


def test_enough_was_called() -> None:
    """Must be the last test: it checks the number of calls of the tests before."""
    assert TRIED.get(CALLS, 0) >= SIZE.calls_min
