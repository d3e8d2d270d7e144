"""The connection under a session, for batches: many rows in one statement, many statements in one round trip.

Rows travel as one JSON value: encoding a list in C costs a tenth of adapting its elements one by one, and Postgres
takes it apart with `json_to_recordset`. Statements that are sent inside `pipelined` are answered together; the first
fetch waits for all of them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

#: psycopg's own connection, which the pool lends us inside of SQLAlchemy's.
Wire = psycopg.AsyncConnection[tuple[Any, ...]]
Cursor = psycopg.AsyncCursor[tuple[Any, ...]]
#: Statements that nobody waits for, and their values.
Waiting = list[tuple[str, tuple[Any, ...]]]


async def wire_of(connection: AsyncConnection) -> Wire:
    """What lies under a connection of the pool; it shares its transaction."""
    raw = await connection.get_raw_connection()
    wire: Wire = raw.driver_connection  # type: ignore[assignment]
    return wire


@asynccontextmanager
async def pipelined(wire: Wire) -> AsyncIterator[None]:
    """Send what the block executes without waiting for answers; the end of the block waits, and raises what failed."""
    async with wire.pipeline():
        yield


async def send(wire: Wire, query: str, *values: Any) -> Cursor:
    """Execute a statement that is prepared once per connection. `query` has a `%s` for each value."""
    return await wire.execute(query.encode(), values, prepare=True)


async def send_waiting(wire: Wire) -> None:
    """Send what waits (see `plain.later`), in its order: for the beginning of a block that is `pipelined`."""
    waiting: Waiting = wire.later  # type: ignore[attr-defined]
    statements = waiting.copy()
    waiting.clear()
    for query, values in statements:
        await send(wire, query, *values)


def rows(of: Any) -> str:
    """A list of objects (UUIDs and times included) as the argument of `json_to_recordset`."""
    return orjson.dumps(of).decode()
