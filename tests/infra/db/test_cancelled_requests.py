"""A request cancelled in the middle leaves no open transaction, and none of its settings reach the next request."""

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
OPEN = """
    select count(*) from pg_stat_activity
     where datname = current_database() and usename = :role and state like 'idle in transaction%'"""
SETTINGS = """select concat(current_setting('app.organization_id', true), current_setting('app.user_id', true),
                        current_setting('app.shown_organizations', true))"""

Call = Callable[[int], Coroutine[Any, Any, httpx2.Response]]


@types.coroutine
def cancel_at(work: Coroutine[Any, Any, Any], at: int) -> Generator[Any, Any, bool]:
    """Run the coroutine and cancel it, as its task would be cancelled, at its `at`-th suspension.

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
                except (asyncio.CancelledError, Exception) as error:  # the second is that of an awaited future
                    pause = work.throw(error)
                else:
                    pause = work.throw(asyncio.CancelledError()) if number == at else work.send(None)
        except StopIteration:
            return number >= at
        except asyncio.CancelledError:
            return True


@pytest.fixture
async def calls(world: World) -> list[Call]:
    """Requests that read and write: of a buyer, of a member, and of a public page."""
    show, buyer = await world.show(rows=10, seats=40, capacity=1000), await world.person()
    reservation = await world.hold(buyer, show, show.labels[0])
    return list(_calls(show, buyer, reservation))


def _calls(show: Show, buyer: Person, reservation: dict[str, Any]) -> tuple[Call, ...]:
    admin, tenant = show.tenant.admin, show.tenant
    return (
        lambda n: buyer.post("/reservations", {"event_id": show.id, "seats": [show.labels[1 + n % 399]]}),
        lambda n: buyer.get(f"/reservations/{reservation['id']}"),
        lambda n: buyer.get("/me/reservations"),
        lambda n: admin.patch(show.path(), {"title": f"Show {n}"}),
        lambda n: admin.get(tenant.path("/orders")),
        lambda n: admin.post(tenant.path("/api-keys"), {"name": f"Till {n}", "role": "ORG_SCANNER"}),
        lambda n: buyer.client.get(f"/api/v1/events/{show.id}/seats"),
        lambda n: buyer.post(
            "/orders", {"reservation_id": reservation["id"], "buyer": {"email": "a@example.com", "name": "A"}}
        ),
    )


async def test_a_request_cancelled_at_any_await_leaves_nothing_behind(
    app: FastAPI, calls: list[Call], database: Database
) -> None:
    cancelled, at = 0, 0
    while cancelled < CANCELLED:
        at += 1
        reached = [await cancel_at(call(at), at) for call in calls]
        cancelled += sum(reached)
        if not any(reached):
            at = 0
    # The driver closes a connection that was cancelled while connecting when it is garbage-collected.
    gc.collect()
    await _check_quiet(app, database)


async def _check_quiet(app: FastAPI, database: Database) -> None:
    engine = app.state.get(Database).engine

    async def is_quiet() -> bool:
        return engine.pool.checkedout() == 0

    await eventually(is_quiet, QUIET_SECONDS)
    async with database.transaction() as session:
        # Has to be the first statement: the check sets the isolation level.
        assert not any(verdict.count for verdict in await invariants.check(session))
        assert await session.scalar(text(OPEN), {"role": engine.url.username}) == 0
    async with AsyncExitStack() as stack:
        for _ in range(engine.pool.size()):
            connection = await stack.enter_async_context(engine.connect())
            assert await connection.scalar(text(SETTINGS)) == ""
