"""psycopg's connection with a limit on the time that a result takes, and with round trips of many statements."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import ConnStatus, PipelineStatus, TransactionStatus

from ticketing.infra.db import outage_log
from ticketing.infra.db.driver.round_trip import PreparedStatements, RoundTrip, roll_back
from ticketing.infra.db.sqlstates import Effect, classified, effect_of

T = TypeVar("T")

#: Statements and their values, sent together with the next statement of their transaction.
DeferredStatements = list[tuple[str, tuple[Any, ...]]]
#: The client's limit for a connection that belongs to no engine, which sets its own (see timeouts.py).
RESULT_SECONDS = 301.0


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """psycopg's connection, closed when a result takes longer than `result_seconds`, or when its server is unusable.

    Its errors have the classes that `sqlstates` says.
    """

    result_seconds = RESULT_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Sent with the next statement, or before the commit.
        self.deferred: DeferredStatements = []
        #: Collects the statements of the block that is open (see `pipeline.pipelined`).
        self.round_trip: RoundTrip | None = None
        self.prepared = PreparedStatements()
        self.opened_at = time.monotonic()
        #: Called when the server is unusable: connections of the same age or older lead to the same server.
        self.on_server_lost: Callable[[], None] = lambda: None

    @classmethod
    async def connect(cls, *arguments: Any, **options: Any) -> Self:
        """As psycopg's; a failure is logged in the server's words."""
        try:
            return await super().connect(*arguments, **options)
        except psycopg.Error as error:
            outage_log.record_failed_connect(error)
            raise

    async def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        timer = asyncio.get_running_loop().call_later(self.result_seconds, shut_down, self)
        try:
            return await super().wait(gen, *arguments, **options)
        except psycopg.Error as error:
            outage_log.record_outage(error)
            if error.sqlstate is not None and effect_of(error.sqlstate) is Effect.RECONNECT:
                # A demoted primary keeps the connection open. Closed here, it is like any other lost connection.
                self.pgconn.finish()
                self.on_server_lost()
            if (substitute := classified(error)) is not error:
                raise substitute from None
            raise
        finally:
            timer.cancel()

    async def rollback(self) -> None:
        """As psycopg's, but what is prepared stays prepared: the schema does not change while the API runs."""
        if self.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            async with self.lock:
                await self.wait(roll_back(self.pgconn))
        else:
            await super().rollback()

    def _deallocate(self, name: bytes | None) -> PQGen[None]:
        # psycopg discards every prepared statement (None) after a savepoint was rolled back and after DDL.
        if name is None:
            self.prepared.clear()
        yield from super()._deallocate(name)

    async def exchange(self, round_trip: RoundTrip) -> None:
        """Send the statements, and fill their results. Raises psycopg.Error, see `RoundTrip.exchange`."""
        # None turns prepared statements off, for poolers that give each transaction another server connection.
        prepared = self.prepared if self.prepare_threshold is not None else None
        async with self.lock:
            try:
                await self.wait(round_trip.exchange(self.pgconn, prepared))
            finally:
                # An error of the client's side leaves it in the middle; if results are missing, it stays there.
                if self.pgconn.status == ConnStatus.OK and self.pgconn.pipeline_status != PipelineStatus.OFF:
                    with suppress(psycopg.Error):
                        self.pgconn.exit_pipeline_mode()


def shut_down(connection: psycopg.AsyncConnection[Any] | psycopg.Connection[Any]) -> None:
    """Make waiting calls read the end of the stream at once. The file descriptor stays open for libpq to close."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as copy:
        copy.shutdown(socket.SHUT_RDWR)
