"""Reads without a session and without a transaction of the whole request."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from ticketing.infra.db import tenancy
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver.round_trip import Row
from ticketing.infra.db.driver_transactions.lending import driver_connection_of, give_back, lend
from ticketing.infra.db.pipeline import DriverConnection, pipelined, send


class DriverReads:
    """The reads of one request. Each round trip is a transaction of its own, which cannot write.

    At READ COMMITTED, statements of one transaction do not see one state of the database either. No connection is
    occupied between the round trips.
    """

    def __init__(self, engine: Engine, user_id: UUID | None) -> None:
        self._engine = engine
        self._caller = str(user_id) if user_id else ""
        self._organization, self._shown = "", ""

    def enter(self, organization_id: UUID) -> None:
        """Read the rows of this organization, from the next round trip on; see `tenancy.enter`."""
        self._organization = str(organization_id)

    def show(self, organization_ids: Collection[UUID]) -> None:
        """Read the public rows of these organizations, from the next round trip on; see `tenancy.show`."""
        self._shown = tenancy.array_of(organization_ids)

    @asynccontextmanager
    async def round_trip(self) -> AsyncIterator[DriverConnection]:
        """Send the block's queries in one round trip; their results can be fetched after the block.

        Raises:
            DBAPIError: a query failed, as a session would raise it.
        """
        lent = await lend(self._engine)
        try:
            connection = driver_connection_of(lent)
            async with pipelined(connection) as round_trip:
                round_trip.commits = True
                await send(connection, tenancy.SET_FOR_READS, self._caller, self._organization, self._shown)
                yield connection
        except psycopg.Error as error:
            raise sqlalchemy_error(self._engine.dialect, error) from error
        finally:
            await give_back(lent)

    async def fetch_all(self, query: str, *values: Any) -> list[Row]:
        """The rows of one query. Raises DBAPIError."""
        async with self.round_trip() as connection:
            result = await send(connection, query, *values)
        return await result.fetchall()

    async def fetch_one(self, query: str, *values: Any) -> Row | None:
        """The first row of one query; None if there is none. Raises DBAPIError."""
        async with self.round_trip() as connection:
            result = await send(connection, query, *values)
        return await result.fetchone()
