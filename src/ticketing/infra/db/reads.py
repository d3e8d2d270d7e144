"""Reads without a session: statements as SQL, rows as tuples, and one round trip for all of them.

A session keeps track of models, which costs several times as much as the statements of a short request. The rules are
the same: row-level security, time limits, and the errors of SQLAlchemy. `Db` is the choice for requests that write.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from uuid import UUID

import psycopg
from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from ticketing.infra.db import tenancy
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver.round_trip import is_in_step
from ticketing.infra.db.pipeline import DriverConnection, pipelined, send


class DriverReads:
    """The reads of one request. Each round trip is a transaction of its own, which cannot write.

    At READ COMMITTED, statements of one transaction do not see one state of the database either. No connection is
    occupied between the round trips.
    """

    def __init__(self, engine: Engine, user_id: UUID | None) -> None:
        self._engine = engine
        self._caller = str(user_id) if user_id else ""

    @asynccontextmanager
    async def round_trip(self) -> AsyncIterator[DriverConnection]:
        """Send the block's queries in one round trip; their results can be fetched after the block.

        Raises:
            DBAPIError: a query failed, as a session would raise it.
        """
        lent = await _lend(self._engine)
        try:
            connection = _driver_connection_of(lent)
            async with pipelined(connection) as round_trip:
                round_trip.commits = True
                await send(connection, tenancy.SET_CALLER_OF_READS, self._caller)
                yield connection
        except psycopg.Error as error:
            raise sqlalchemy_error(self._engine.dialect, error) from error
        finally:
            await _give_back(lent)


async def _lend(engine: Engine) -> PoolProxiedConnection:
    """Borrow a connection. Raises SQLAlchemy's TimeoutError if none is free in time, and DBAPIError."""
    # A greenlet: the pool may have to open a connection, to wait for one, or to ping it.
    try:
        return await greenlet_spawn(engine.raw_connection)
    except psycopg.Error as error:
        raise sqlalchemy_error(engine.dialect, error) from error


def _driver_connection_of(lent: PoolProxiedConnection) -> DriverConnection:
    """The driver's connection of a borrowed one."""
    connection: DriverConnection = lent.driver_connection  # type: ignore[assignment]
    return connection


async def _give_back(lent: PoolProxiedConnection) -> None:
    """Return a connection to the pool. An open transaction is rolled back."""
    if is_in_step(_driver_connection_of(lent).pgconn):
        lent.close()
    else:
        # A task of its own: the request may have been cancelled, and be cancelled again.
        await asyncio.shield(asyncio.ensure_future(_roll_back_and_close(lent)))


async def _roll_back_and_close(lent: PoolProxiedConnection) -> None:
    # Without success, the pool replaces the connection, because it is not idle (see `session._check_idle_connections`).
    with suppress(psycopg.Error):
        await _driver_connection_of(lent).rollback()
    await greenlet_spawn(lent.close)
