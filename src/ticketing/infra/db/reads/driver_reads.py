"""Reads without a session: statements as SQL, rows as tuples, and one round trip for all of them.

A session keeps track of models, which costs several times as much as the statements of a short request. The rules are
the same: row-level security, time limits, and the errors of SQLAlchemy. `Db` is the choice for requests that write.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import psycopg
from sqlalchemy import Engine

from ticketing.infra.db import tenancy
from ticketing.infra.db.driver.errors import sqlalchemy_error
from ticketing.infra.db.driver.statement_list import StatementList
from ticketing.infra.db.pipeline import send
from ticketing.infra.db.reads.batches import ReadBatches


class DriverReads:
    """The reads of one request. Each round trip is a transaction, which cannot write, shared with other requests.

    At READ COMMITTED, statements of one transaction do not see one state of the database either. No connection is
    occupied between the round trips.
    """

    def __init__(self, engine: Engine, batches: ReadBatches, user_id: UUID | None) -> None:
        self._engine, self._batches = engine, batches
        self._caller = str(user_id) if user_id else ""

    @asynccontextmanager
    async def round_trip(self) -> AsyncIterator[StatementList]:
        """Send the block's queries in one round trip; their results can be fetched after the block.

        Raises:
            DBAPIError: a query failed, as a session would raise it.
            Overloaded: too many requests are waiting for their reads.
        """
        statements = StatementList()
        await send(statements, tenancy.BEGIN_READS, self._caller)
        yield statements
        try:
            await self._batches.read(statements)
        except psycopg.Error as error:
            raise sqlalchemy_error(self._engine.dialect, error) from error
