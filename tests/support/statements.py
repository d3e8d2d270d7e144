"""Record the SQL statements of an application, whether SQLAlchemy or the driver sends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from ticketing.infra.db import Database

#: Parts of the statements that a running application polls with: when they come depends on the speed of the machine.
POLLED = ("sessions.revoked_at > ", "EXTRACT(epoch FROM clock_timestamp())")


@contextmanager
def recorded_statements(*databases: Database) -> Iterator[list[str]]:
    """The statements that connections of these databases execute, if they are checked out within the block.

    Without POLLED.
    """
    recorded: list[str] = []
    connections: set[int] = set()
    execute = psycopg.AsyncCursor.execute

    async def record(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if id(cursor.connection) in connections:
            text = query.decode() if isinstance(query, bytes) else str(query)
            if not any(part in text for part in POLLED):
                recorded.append(text)
        return await execute(cursor, query, *arguments, **options)

    def on_checkout(connection: Any, *_: Any) -> None:
        connections.add(id(connection.driver_connection))

    engines = [database.engine.sync_engine for database in databases]
    for engine in engines:
        event.listen(engine, "checkout", on_checkout)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(psycopg.AsyncCursor, "execute", record)
            yield recorded
    finally:
        for engine in engines:
            event.remove(engine, "checkout", on_checkout)
