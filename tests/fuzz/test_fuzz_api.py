"""Every route of the document, called with what schemathesis makes of it: alone, and in chains along its links.

Two tenants call, each with ids of both. No call may end in our own fault, answer what the document does not say, or
change a row of the other tenant.
"""

import asyncio

import httpx2
import pytest
from fastapi import FastAPI

from tests.fuzz.caller import CALLS, Caller
from tests.fuzz.generate import run_chains, try_route
from tests.fuzz.size import SIZE, TRIED
from tests.fuzz.walls import read_tenant
from tests.support.world import World
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (they register the examples)
from tests.sweeps.database_state import changed_tables
from tests.sweeps.full_tenant import Stage, set_stage
from tests.sweeps.openapi.routes import STREAM, Route, all_routes

#: Left out, and why.
NOT_CALLED = {STREAM: "it does not end; tests/realtime and the sweeps read it"}
#: Called last: they take away what the others speak of.
TAKES_AWAY = ("DELETE", "/cancel", "/transfer", "/refunds", "/erase")


def every_route() -> list[Route]:
    """Those that take something away come last."""
    routes = [route for route in all_routes().values() if route.name not in NOT_CALLED]
    return sorted(routes, key=lambda route: any(word in route.name for word in TAKES_AWAY))


@pytest.fixture(scope="module")
async def tenants(app: FastAPI, world: World, stage: Stage) -> tuple[Stage, Stage]:
    return stage, await set_stage(app, world, "other")


@pytest.fixture(scope="module")
async def callers(client: httpx2.AsyncClient, tenants: tuple[Stage, Stage]) -> list[Caller]:
    """One of each tenant, each with the ids of both."""
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
    """Stands last: what is counted has been answered as documented."""
    assert TRIED.get(CALLS, 0) >= SIZE.calls_min
