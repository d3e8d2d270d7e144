"""The driver's connection below a session: many rows in one statement, many statements in one round trip.

Rows are sent as one JSON value: encoding a list in C costs a tenth of adapting its elements one by one, and Postgres
takes it apart with `json_to_recordset`. Statements sent inside `pipelined` get their results together; the first
fetch waits for all of them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from ticketing.infra.db.driver.connection import BoundedConnection
from ticketing.infra.db.driver.round_trip import Result, RoundTrip
from ticketing.infra.db.driver.statement_list import StatementList

#: psycopg's connection, which a pooled SQLAlchemy connection wraps.
DriverConnection = BoundedConnection
#: What takes statements: a connection, or a list that is sent later.
Statements = DriverConnection | StatementList
Cursor = Result


async def driver_connection(pooled: AsyncConnection) -> DriverConnection:
    """The driver's connection below a pooled one. Both are in the same transaction."""
    raw = await pooled.get_raw_connection()
    connection: DriverConnection = raw.driver_connection  # type: ignore[assignment]
    return connection


@asynccontextmanager
async def pipelined(connection: DriverConnection) -> AsyncIterator[RoundTrip]:
    """Send the block's statements in one round trip at its end, behind the deferred ones (see `statements.defer`).

    Nothing is sent if the block raises.

    Raises:
        psycopg.Error: a statement failed; those after it have not been executed.
    """
    if connection.round_trip is not None:
        raise RuntimeError("a round trip of this connection is open")
    connection.round_trip = round_trip = RoundTrip(connection)
    try:
        _add_deferred(connection, round_trip)
        yield round_trip
    finally:
        connection.round_trip = None
    await connection.exchange(round_trip)


async def send(connection: Statements, query: str, *values: Any) -> Cursor:
    """Execute a statement, prepared once per connection. `query` has a `%s` for each value.

    Inside a `pipelined` block it is sent at the end of the block, and its result can be fetched after the block.
    """
    if (open_round_trip := connection.round_trip) is not None:
        return open_round_trip.add(query, values)
    assert not isinstance(connection, StatementList)  # its round trip is always open
    if connection.deferred:
        async with pipelined(connection) as with_deferred:
            return with_deferred.add(query, values)
    round_trip = RoundTrip(connection)
    result = round_trip.add(query, values)
    await connection.exchange(round_trip)
    return result


class Rows(list[Any]):
    """A value of a deferred statement: rows that are encoded when it is sent."""


def _add_deferred(connection: DriverConnection, round_trip: RoundTrip) -> None:
    deferred = connection.deferred.copy()
    connection.deferred.clear()
    for query, values in deferred:
        round_trip.add(query, [rows(value) if isinstance(value, Rows) else value for value in values])


def rows(of: Any) -> str:
    """A list of objects (UUIDs and times included) as the argument of `json_to_recordset`."""
    return orjson.dumps(of, default=str).decode()
