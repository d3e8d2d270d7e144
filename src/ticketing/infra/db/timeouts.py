"""Time limits of a connection to Postgres, on both sides.

The server ends a statement that takes too long, and a transaction whose client is silent, and so releases its locks.
A network that drops packets produces no error, and TCP retransmits for a quarter of an hour. So the client has a limit
of its own: it shuts the socket down, every waiting call gets a lost connection, and the pool opens another one.
"""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import outage_log
from ticketing.infra.db.pipeline import DeferredStatements, driver_connection
from ticketing.infra.db.sqlstates import Effect, classified, effect_of

T = TypeVar("T")

CONNECT_SECONDS = 3
#: `statement_timeout`. A statement takes milliseconds; one that takes this long waits for something that is stuck.
STATEMENT_SECONDS = 6.0
#: `statement_timeout` for work on a whole venue, for scheduled jobs, and for operators' queries over all tenants.
LONG_STATEMENT_SECONDS = 300.0
#: Client timeout = server `statement_timeout` + this margin, so that a reachable server reports the error first.
CLIENT_MARGIN_SECONDS = 1.0
#: `transaction_timeout` = `statement_timeout` + this margin: other transactions wait for its locks, and all readers of
#: the outbox log for its end. A client that is stopped in the middle of a pipeline does not count as idle, and one
#: whose statement failed is in no transaction any more, so both limits are needed.
TRANSACTION_MARGIN_SECONDS = 2.0
#: Limit of the ping that checks a pooled connection.
PING_SECONDS = 1.0


def connect_arguments(statement_seconds: float, prepare_threshold: int = 5) -> dict[str, Any]:
    """Arguments for a connection on which no statement takes longer than `statement_seconds`.

    `prepare_threshold`: see the setting DATABASE_PREPARE_THRESHOLD; 0 turns prepared statements off.
    """
    limits = {
        "statement_timeout": statement_seconds,
        "transaction_timeout": statement_seconds + TRANSACTION_MARGIN_SECONDS,
        # The server ignores this one unless it is the shorter one.
        "idle_in_transaction_session_timeout": statement_seconds,
    }
    options = [f"-c {name}={int(seconds * 1000)}" for name, seconds in limits.items()]
    return {
        "async_creator_fn": BoundedConnection.connect,
        "application_name": "ticketing",
        # psycopg's None also overrides `prepare=True` of a single statement; its 0 would mean "at the first execution".
        "prepare_threshold": prepare_threshold or None,
        "connect_timeout": CONNECT_SECONDS,
        # The operating system detects a vanished peer, also while no call waits for it.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int((STATEMENT_SECONDS + CLIENT_MARGIN_SECONDS) * 1000),
        "options": " ".join(["-c timezone=UTC", *options]),
    }


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """psycopg's connection, closed when a result takes longer than `result_seconds`, or when its server is unusable.

    Its errors have the classes that `sqlstates` says.
    """

    result_seconds = LONG_STATEMENT_SECONDS + CLIENT_MARGIN_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: Sent with the next statement, or before the commit.
        self.deferred: DeferredStatements = []
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


def shut_down(connection: psycopg.AsyncConnection[Any] | psycopg.Connection[Any]) -> None:
    """Make waiting calls read the end of the stream at once. The file descriptor stays open for libpq to close."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as copy:
        copy.shutdown(socket.SHUT_RDWR)


async def allow_long_statements(session: AsyncSession) -> None:
    """Let the statements of this transaction take up to LONG_STATEMENT_SECONDS."""
    pooled = await session.connection()
    for limit in _LONG_LIMITS:
        await pooled.exec_driver_sql(limit)
    connection = await driver_connection(pooled)
    connection.result_seconds = LONG_STATEMENT_SECONDS + CLIENT_MARGIN_SECONDS  # type: ignore[attr-defined]


_LONG_LIMITS = (
    f"set local statement_timeout = {int(LONG_STATEMENT_SECONDS * 1000)}",
    # A running limit cannot be changed, only ended and started.
    "set local transaction_timeout = 0",
    f"set local transaction_timeout = {int((LONG_STATEMENT_SECONDS + TRANSACTION_MARGIN_SECONDS) * 1000)}",
)
