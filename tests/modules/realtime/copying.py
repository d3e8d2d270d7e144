"""What tests of copies need: to see where an answer came from, and to hold up a reading in the middle."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from tests.modules.realtime.live import until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import API, Show, data
from ticketing.infra import outbox
from ticketing.infra.db import Database
from ticketing.modules import events
from ticketing.modules.realtime.response_cache.cache import Copies
from ticketing.modules.realtime.response_cache.loaders import Readings

#: Long enough that nothing in a test ends by age.
LONG_SECONDS = 60.0


async def letters(client: httpx2.AsyncClient, show: Show, **headers: str) -> str:
    """The map as a stranger reads it."""
    seats: str = data(await client.get(f"{API}/events/{show.id}/availability", headers=headers))["seats"]
    return seats


async def know(app: FastAPI, client: httpx2.AsyncClient, *shows: Show) -> None:
    """From here on, copies are kept of these maps."""
    await until(lambda: app.state.get(Copies).is_hearing)
    for show in shows:
        await letters(client, show)


def answers(where: str, map_: str = "availability") -> float:
    """How many answers about a map have come from there, in this process."""
    return REGISTRY.get_sample_value("ticketing_copy_answers_total", {"map": map_, "where": where}) or 0.0


@contextmanager
def statements(app: FastAPI) -> Iterator[list[str]]:
    """What the process asks about events and their seats in the block; it looks after itself as well."""
    asked: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if re.search(r"\bevent(s|_seats)\b", statement):
            asked.append(statement)

    engines = [database.engine.sync_engine for database in (app.state.get(Database), app.state.get(Readings).database)]
    for engine in engines:
        sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    yield asked
    for engine in engines:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)


async def block_seat(database: Database, show: Show, number: int) -> None:
    """Change a seat and publish the fact, with nothing but the seat's own row under lock."""
    place = {"organization_id": UUID(show.tenant.id), "event_id": UUID(show.id)}
    async with database.transaction() as session:
        await session.execute(text("select set_config('app.organization_id', :id, true)"), {"id": show.tenant.id})
        await session.execute(
            text("update event_seats set status = 'b' where event_id = :id and number = :number"),
            {"id": place["event_id"], "number": number},
        )
        outbox.publish(session, events.SeatsBlocked(**place, seat_numbers=[number]))


@asynccontextmanager
async def held_up(owner: Database) -> AsyncIterator[None]:
    """Readings of the map stop for as long as the block lasts, after they have seen the seats: before the places."""
    async with owner.engine.connect() as connection:
        await connection.execute(text("lock table ticket_types in access exclusive mode"))
        yield
        await connection.rollback()


async def begin(owner: Database, question: Awaitable[httpx2.Response]) -> asyncio.Future[httpx2.Response]:
    """Ask, and come back when a reading waits in the database."""
    asking = asyncio.ensure_future(question)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await _is_anybody_waiting(owner):
            assert not asking.done()
            await asyncio.sleep(0.01)
    return asking


async def _is_anybody_waiting(owner: Database) -> bool:
    query = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    async with owner.transaction() as session:
        return bool(await session.scalar(text(query)))
