"""Connections of the engine's pool, lent without a session."""

import asyncio
from contextlib import suppress

import psycopg
from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver.round_trip import is_in_step
from ticketing.infra.db.pipeline import DriverConnection


async def lend(engine: Engine) -> PoolProxiedConnection:
    """Borrow a connection. Raises SQLAlchemy's TimeoutError if none is free in time, and DBAPIError."""
    # A greenlet: the pool may have to open a connection, to wait for one, or to ping it.
    try:
        return await greenlet_spawn(engine.raw_connection)
    except psycopg.Error as error:
        raise sqlalchemy_error(engine.dialect, error) from error


def driver_connection_of(lent: PoolProxiedConnection) -> DriverConnection:
    """The driver's connection of a borrowed one."""
    connection: DriverConnection = lent.driver_connection  # type: ignore[assignment]
    return connection


async def give_back(lent: PoolProxiedConnection) -> None:
    """Return a connection to the pool. An open transaction is rolled back."""
    if is_in_step(driver_connection_of(lent).pgconn):
        lent.close()
    else:
        # A task of its own: the request may have been cancelled, and be cancelled again.
        await asyncio.shield(asyncio.ensure_future(_roll_back_and_close(lent)))


async def _roll_back_and_close(lent: PoolProxiedConnection) -> None:
    # Without success, the pool replaces the connection, because it is not idle (see `session._check_idle_connections`).
    with suppress(psycopg.Error):
        await driver_connection_of(lent).rollback()
    await greenlet_spawn(lent.close)
