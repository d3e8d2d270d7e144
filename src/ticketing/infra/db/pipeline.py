"""The driver's connection below a session: many rows in one statement, many statements in one round trip.

Rows are sent as one JSON value: encoding a list in C costs a tenth of adapting its elements one by one, and Postgres
takes it apart with `json_to_recordset`. Statements sent inside `pipelined` get their results together; the first
fetch waits for all of them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import psycopg
from sqlalchemy.ext.asyncio import AsyncConnection

#: psycopg's connection, which a pooled SQLAlchemy connection wraps.
DriverConnection = psycopg.AsyncConnection[tuple[Any, ...]]
Cursor = psycopg.AsyncCursor[tuple[Any, ...]]
#: Statements and their values, sent together with the next statement of their transaction.
DeferredStatements = list[tuple[str, tuple[Any, ...]]]


async def driver_connection(pooled: AsyncConnection) -> DriverConnection:
    """The driver's connection below a pooled one. Both are in the same transaction."""
    raw = await pooled.get_raw_connection()
    connection: DriverConnection = raw.driver_connection  # type: ignore[assignment]
    return connection


@asynccontextmanager
async def pipelined(connection: DriverConnection) -> AsyncIterator[None]:
    """Send the block's statements without waiting for results. The end of the block waits, and raises any error."""
    async with connection.pipeline():
        yield


async def send(connection: DriverConnection, query: str, *values: Any) -> Cursor:
    """Execute a statement, prepared once per connection. `query` has a `%s` for each value."""
    return await connection.execute(query.encode(), values, prepare=True)


async def send_deferred(connection: DriverConnection) -> None:
    """Send the deferred statements (see `statements.defer`) in their order, at the start of a `pipelined` block."""
    deferred: DeferredStatements = connection.deferred  # type: ignore[attr-defined]
    statements = deferred.copy()
    deferred.clear()
    for query, values in statements:
        await send(connection, query, *values)


def rows(of: Any) -> str:
    """A list of objects (UUIDs and times included) as the argument of `json_to_recordset`."""
    return orjson.dumps(of).decode()
