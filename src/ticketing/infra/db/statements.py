"""Plain SQL in a session's transaction, for the hot paths in which a model per row would cost more than the row.

Statements of one block share a round trip. They still run one after the other, each with a snapshot of its own: a
statement that comes after a lock sees what the lock's previous holder has committed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import tenancy
from ticketing.infra.db.driver.connection import DeferredStatements
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.pipeline import (
    Cursor,
    DriverConnection,
    Rows,
    driver_connection,
    pipelined,
    rows,
    send,
)

#: Deferred statements are sent when there are this many.
DEFERRED_MAX = 100

#: Sends statements in the round trip of its caller.
Write = Callable[[DriverConnection], Awaitable[None]]


@asynccontextmanager
async def round_trip(session: AsyncSession) -> AsyncIterator[DriverConnection]:
    """Send the block's statements in one round trip; their results can be fetched after the block.

    Raises:
        DBAPIError: a statement failed, as the session itself would raise it.
    """
    connection = await _driver_connection(session)
    last: dict[tuple[str, Any], list[Any]] = {}
    session.info["rows_of_round_trip"] = last
    try:
        async with pipelined(connection):
            yield connection
            for (query, key), added in last.items():
                await send(connection, query, key, rows(added))
    except psycopg.Error as error:
        raise await _as_sqlalchemy_error(session, connection, error) from error
    finally:
        del session.info["rows_of_round_trip"]


async def execute(session: AsyncSession, query: str, *values: Any) -> Cursor:
    """Execute one statement in a round trip of its own.

    Raises:
        DBAPIError: it failed, as the session itself would raise it.
    """
    connection = await _driver_connection(session)
    try:
        return await send(connection, query, *values)
    except psycopg.Error as error:
        raise await _as_sqlalchemy_error(session, connection, error) from error


async def defer(session: AsyncSession, query: str, *values: Any) -> None:
    """Send a statement, whose result is not needed, with the next one of its transaction or before its commit.

    So messages that share a transaction do not each wait for their writes. The order stays: a later query sees the
    statement's effect. If it fails, the transaction fails at its next statement or at its commit.
    """
    connection = await _driver_connection(session)
    if "rows_of_round_trip" in session.info:
        await send(connection, query, *values)
        return
    deferred = _deferred(connection)
    deferred.append((query, values))
    if len(deferred) >= DEFERRED_MAX:
        async with round_trip(session):
            pass


def defer_row(session: AsyncSession, query: str, key: Any, row: Any) -> bool:
    """Send a row with the transaction's next statements. `query` takes a key and the `rows` that were given for it.

    In an open round trip, all rows of a query and key become one of its last statements. In a transaction that has sent
    statements, the row is deferred (see `defer`); the statements that begin and end savepoints are statements as well,
    so the row shares the fate of its savepoint. Returns False, and does nothing, in any other transaction.
    """
    if (last := session.info.get("rows_of_round_trip")) is not None:
        last.setdefault((query, key), []).append(row)
        return True
    connection = _known_connection(session)
    if connection is None:
        return False
    deferred = _deferred(connection)
    if deferred and deferred[-1][0] == query and deferred[-1][1][0] == key:
        deferred[-1][1][1].append(row)
    else:
        deferred.append((query, (key, Rows([row]))))
    return True


async def commit(session: AsyncSession) -> None:
    """Commit the session. If statements are deferred, the commit is sent in their round trip.

    Raises:
        DBAPIError: a statement, or the commit, failed.
    """
    if session.new or session.dirty or session.deleted:
        await session.flush()
    if (connection := _known_connection(session)) is not None and _deferred(connection):
        try:
            async with pipelined(connection) as last:
                last.commits = True
        except psycopg.Error as error:
            raise await _as_sqlalchemy_error(session, connection, error) from error
    # The driver sends no second commit.
    await session.commit()


def _known_connection(session: AsyncSession) -> DriverConnection | None:
    """The connection of the session's transaction, if a statement was sent on it."""
    known: tuple[object, DriverConnection] | None = session.info.get("driver_connection")
    return known[1] if known is not None and known[0] is not None and known[0] is _transaction(session) else None


def _deferred(connection: DriverConnection) -> DeferredStatements:
    return connection.deferred


async def _driver_connection(session: AsyncSession) -> DriverConnection:
    """The connection of the session's transaction, after what was done to models so far.

    Looked up once per transaction and savepoint: going through SQLAlchemy costs as much as a statement. When a
    transaction begins here, the statement that names the caller (see `PersonalSession`) is deferred.
    """
    if session.new or session.dirty or session.deleted:
        await session.flush()
    if (known := _known_connection(session)) is not None:
        return known
    session.info["defers_caller"] = True
    connection = await driver_connection(await session.connection())
    # The beginning of a transaction removes the key. A transaction that had begun before has named its caller.
    if not session.info.pop("defers_caller", False) and (user_id := session.info.get("user_id")) is not None:
        _deferred(connection).append((tenancy.SET_CALLER, (str(user_id),)))
    session.info["driver_connection"] = _transaction(session), connection
    return connection


def _transaction(session: AsyncSession) -> object | None:
    """The innermost transaction, savepoints included.

    SQLAlchemy sets a savepoint when a connection is first requested inside of it.
    """
    return session.sync_session.get_nested_transaction() or session.sync_session.get_transaction()


async def _as_sqlalchemy_error(
    session: AsyncSession, connection: DriverConnection, error: psycopg.Error
) -> BaseException:
    if connection.closed:
        await (await session.connection()).invalidate(error)
    return sqlalchemy_error(session.get_bind().dialect, error)
