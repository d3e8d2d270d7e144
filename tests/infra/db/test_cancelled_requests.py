"""A client that goes away in the middle: no transaction stays open, and nothing of it reaches the next request."""

import asyncio
import gc
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.support.platform import eventually
from tests.support.world import Person, Show, World
from ticketing import invariants
from ticketing.infra.db import Database

CANCELLED = 1000
QUIET_SECONDS = 5
LEFT = """
    select count(*) from pg_stat_activity
     where datname = current_database() and usename = :role and state like 'idle in transaction%'"""
SAID = """select concat(current_setting('app.organization_id', true), current_setting('app.user_id', true),
                        current_setting('app.shown_organizations', true))"""

Call = Callable[[int], Coroutine[Any, Any, httpx2.Response]]


@types.coroutine
def cut_off(work: Coroutine[Any, Any, Any], at: int) -> Generator[Any, Any, bool]:
    """Run the work and cancel it, as its task would be cancelled, when it waits for the `at`-th time.

    False when it ended before.
    """
    number = 0
    while True:
        try:
            pause = work.send(None)
            while True:
                number += 1
                if number == at and pause is not None:
                    pause.cancel()
                try:
                    yield pause
                except asyncio.CancelledError as error:
                    pause = work.throw(error)
                else:
                    pause = work.throw(asyncio.CancelledError()) if number == at else work.send(None)
        except StopIteration:
            return number >= at
        except asyncio.CancelledError:
            return True


@pytest.fixture
async def calls(world: World) -> list[Call]:
    """Requests that read and write: as a buyer, at work, looking at the shop window."""
    show, buyer = await world.show(rows=10, seats=40, capacity=1000), await world.person()
    kept = await world.hold(buyer, show, show.labels[0])
    return list(_calls(show, buyer, kept))


def _calls(show: Show, buyer: Person, kept: dict[str, Any]) -> tuple[Call, ...]:
    admin, tenant = show.tenant.admin, show.tenant
    return (
        lambda n: buyer.post("/reservations", {"event_id": show.id, "seats": [show.labels[1 + n % 399]]}),
        lambda n: buyer.get(f"/reservations/{kept['id']}"),
        lambda n: buyer.get("/me/reservations"),
        lambda n: admin.patch(show.path(), {"title": f"Show {n}"}),
        lambda n: admin.get(tenant.path("/orders")),
        lambda n: admin.post(tenant.path("/api-keys"), {"name": f"Till {n}", "role": "ORG_SCANNER"}),
        lambda n: buyer.client.get(f"/api/v1/events/{show.id}/seats"),
        lambda n: buyer.post(
            "/orders", {"reservation_id": kept["id"], "buyer": {"email": "a@example.com", "name": "A"}}
        ),
    )


async def test_a_request_cancelled_at_any_moment_leaves_nothing_behind(
    app: FastAPI, calls: list[Call], database: Database
) -> None:
    cancelled, at = 0, 0
    while cancelled < CANCELLED:
        at += 1
        reached = [await cut_off(call(at), at) for call in calls]
        cancelled += sum(reached)
        if not any(reached):
            at = 0
    # The driver closes a connection that was cut off while it was being made when nobody refers to it any more.
    gc.collect()
    await _check_quiet(app, database)


async def _check_quiet(app: FastAPI, database: Database) -> None:
    engine = app.state.get(Database).engine

    async def is_quiet() -> bool:
        return engine.pool.checkedout() == 0

    await eventually(is_quiet, QUIET_SECONDS)
    async with database.transaction() as session:
        # Has to be the first statement: the check asks for a snapshot of its own.
        assert not any(verdict.count for verdict in await invariants.check(session))
        assert await session.scalar(text(LEFT), {"role": engine.url.username}) == 0
    async with AsyncExitStack() as stack:
        for _ in range(engine.pool.size()):
            connection = await stack.enter_async_context(engine.connect())
            assert await connection.scalar(text(SAID)) == ""
