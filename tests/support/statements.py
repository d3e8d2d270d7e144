"""Record the SQL statements of an application, whether SQLAlchemy or the driver sends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from ticketing.infra.db import Database
from ticketing.infra.db.driver.connection import BoundedConnection

#: Parts of the statements that a running application polls with: when they come depends on the speed of the machine.
POLLED = ("sessions.revoked_at > ", "EXTRACT(epoch FROM clock_timestamp())")


@contextmanager
def recorded_statements(*databases: Database) -> Iterator[list[str]]:
    """The statements that connections of these databases execute, if they are checked out within the block.

    Without POLLED.
    """
    recorded: list[str] = []
    connections: set[int] = set()
    execute, exchange = psycopg.AsyncCursor.execute, BoundedConnection.exchange

    def add(connection: Any, query: Any) -> None:
        text = query.decode() if isinstance(query, bytes) else str(query)
        if id(connection) in connections and not any(part in text for part in POLLED):
            recorded.append(text)

    async def record(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        add(cursor.connection, query)
        return await execute(cursor, query, *arguments, **options)

    async def record_round_trip(connection: Any, round_trip: Any) -> None:
        for statement in round_trip._statements:
            add(connection, statement.query)
        await exchange(connection, round_trip)

    def on_checkout(connection: Any, *_: Any) -> None:
        connections.add(id(connection.driver_connection))

    engines = [database.engine.sync_engine for database in databases]
    for engine in engines:
        event.listen(engine, "checkout", on_checkout)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.AsyncCursor, "execute", record)
            patch.setattr(BoundedConnection, "exchange", record_round_trip)
            yield recorded
    finally:
        for engine in engines:
            event.remove(engine, "checkout", on_checkout)
