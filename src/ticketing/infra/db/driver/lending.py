"""Connections borrowed from the engine's pool without a session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from ticketing.infra.db.driver.connection import BoundedConnection
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver.round_trip import is_in_step


@asynccontextmanager
async def lend(engine: Engine) -> AsyncIterator[BoundedConnection]:
    """Borrow a connection for the block. An open transaction is rolled back at its end.

    Raises:
        TimeoutError of SQLAlchemy: none is free in time.
        DBAPIError: none can be opened.
    """
    # A greenlet: the pool may have to open a connection, to wait for one, or to ping it.
    try:
        lent = await greenlet_spawn(engine.raw_connection)
    except psycopg.Error as error:
        raise sqlalchemy_error(engine.dialect, error) from error
    try:
        yield _driver_connection_of(lent)
    finally:
        await _give_back(lent)


def _driver_connection_of(lent: PoolProxiedConnection) -> BoundedConnection:
    """The driver's connection of a borrowed one."""
    connection: BoundedConnection = lent.driver_connection  # type: ignore[assignment]
    return connection


async def _give_back(lent: PoolProxiedConnection) -> None:
    """Return a connection to the pool."""
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
