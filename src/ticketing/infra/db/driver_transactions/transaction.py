"""One transaction without a session, for requests that write."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine
from sqlalchemy.pool import PoolProxiedConnection

from ticketing.infra.db import tenancy
from ticketing.infra.db.driver.connection import DeferredStatements
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver_transactions.lending import driver_connection_of, give_back, lend
from ticketing.infra.db.pipeline import Cursor, DriverConnection, pipelined, rows, send


class DriverTransaction:
    """One transaction, on a connection of the engine's pool. It begins with its first round trip."""

    def __init__(self, engine: Engine, user_id: UUID | None) -> None:
        self._engine = engine
        self._lent: PoolProxiedConnection | None = None
        self._settings: DeferredStatements = [(tenancy.SET_CALLER, (str(user_id),))] if user_id else []
        self._deferred: DeferredStatements = []
        self._rows: dict[tuple[str, Any], list[Any]] = {}
        #: What the commit notification and `on_commit` need, as in the `info` of a session.
        self.info: dict[str, Any] = {}

    @property
    def is_open(self) -> bool:
        """Whether it has a connection of the pool."""
        return self._lent is not None

    def enter(self, organization_id: UUID) -> None:
        """Read and write the rows of this organization, from the next round trip on; see `tenancy.enter`."""
        self._settings.append((tenancy.ENTER, (str(organization_id),)))

    def show(self, organization_ids: Collection[UUID]) -> None:
        """Read the public rows of these organizations, from the next round trip on; see `tenancy.show`."""
        self._settings.append((tenancy.SHOW, (tenancy.array_of(organization_ids),)))

    def defer(self, query: str, *values: Any) -> None:
        """Send a statement, whose result is not needed, at the start of the next round trip or with the commit."""
        self._deferred.append((query, values))

    def defer_row(self, query: str, key: Any, row: Any) -> None:
        """Send a row at the end of the next round trip or with the commit.

        `query` takes a key and the `rows` that were given for it: all rows of a query and key are one statement.
        """
        self._rows.setdefault((query, key), []).append(row)

    @asynccontextmanager
    async def round_trip(self) -> AsyncIterator[DriverConnection]:
        """Send the block's statements in one round trip; their results can be fetched after the block.

        Raises:
            DBAPIError: a statement failed, as a session would raise it.
        """
        async with self._round_trip() as connection:
            yield connection

    async def execute(self, query: str, *values: Any) -> Cursor:
        """Execute one statement in a round trip of its own. Raises DBAPIError."""
        async with self._round_trip() as connection:
            result = await send(connection, query, *values)
        return result

    async def commit(self) -> None:
        """Send what is deferred, and commit, in one round trip. Only the edge calls it."""
        if self._lent is not None or self._deferred or self._rows:
            async with self._round_trip(commits=True):
                pass

    async def close(self) -> None:
        """Return the connection to the pool; a transaction that was not committed is rolled back."""
        lent, self._lent = self._lent, None
        if lent is not None:
            await give_back(lent)

    @asynccontextmanager
    async def _round_trip(self, *, commits: bool = False) -> AsyncIterator[DriverConnection]:
        if self._lent is None:
            self._lent = await lend(self._engine)
        connection = driver_connection_of(self._lent)
        try:
            async with pipelined(connection) as round_trip:
                round_trip.commits = commits
                for query, values in (*self._settings, *self._deferred):
                    await send(connection, query, *values)
                yield connection
                for (query, key), added in self._rows.items():
                    await send(connection, query, key, rows(added))
                for sent in (self._settings, self._deferred, self._rows):
                    sent.clear()
        except psycopg.Error as error:
            raise sqlalchemy_error(self._engine.dialect, error) from error
