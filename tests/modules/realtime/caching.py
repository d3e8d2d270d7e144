"""Helpers for tests of the response cache: where a response came from, and loads that block in the middle."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

import httpx2
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.support.statements import recorded_statements
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, Show, data
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.modules import events
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.loaders import Loaders

#: Long enough that nothing expires in a test.
LONG_SECONDS = 600.0
#: A header with which a request takes the ordinary route.
ORDINARY = {"If-Unmodified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"}


async def statuses(client: httpx2.AsyncClient, show: Show, **headers: str) -> str:
    """The map as an anonymous client reads it."""
    seats: str = data(await client.get(f"{API}/events/{show.id}/availability", headers=headers))["seats"]
    return seats


async def warm_up(app: FastAPI, client: httpx2.AsyncClient, *shows: Show) -> None:
    """Make the cache serve these maps from now on."""
    await until(lambda: app.state.get(ResponseCache).is_subscribed)
    for show in shows:
        await statuses(client, show)


def served_from(where: str, map_: str = "availability") -> float:
    """The number of responses of a map from this source, in this process."""
    return REGISTRY.get_sample_value("ticketing_copy_answers_total", {"map": map_, "where": where}) or 0.0


@contextmanager
def queries_of(app: FastAPI) -> Iterator[list[str]]:
    """The queries about events and seats that the process sends in the block, its housekeeping included."""
    queries: list[str] = []
    with recorded_statements(app.state.get(Database), app.state.get(Loaders).database) as statements:
        yield queries
    queries += [statement for statement in statements if re.search(r"\bevent(s|_seats)\b", statement)]


async def block_seat(database: Database, show: Show, number: int) -> None:
    """Change a seat and publish the message, locking only the seat's row."""
    place = {"organization_id": UUID(show.tenant.id), "event_id": UUID(show.id)}
    async with database.transaction() as session:
        await session.execute(text("select set_config('app.organization_id', :id, true)"), {"id": show.tenant.id})
        await session.execute(
            text("update event_seats set status = 'b' where event_id = :id and number = :number"),
            {"id": place["event_id"], "number": number},
        )
        outbox.publish(session, events.SeatsBlocked(**place, seat_numbers=[number]))


@asynccontextmanager
async def loads_blocked(owner: Database) -> AsyncIterator[None]:
    """Block loads of maps until the end of the block: after they have read the seats, before the places."""
    async with owner.engine.connect() as connection:
        await connection.execute(text("lock table ticket_types in access exclusive mode"))
        yield
        await connection.rollback()


async def begin(owner: Database, request: Awaitable[httpx2.Response]) -> asyncio.Future[httpx2.Response]:
    """Send a request, and return when its load waits in the database."""
    asking = asyncio.ensure_future(request)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await _is_load_blocked(owner):
            assert not asking.done()
            await asyncio.sleep(0.01)
    return asking


async def _is_load_blocked(owner: Database) -> bool:
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with owner.transaction() as session:
        return bool(await session.scalar(text(query)))
