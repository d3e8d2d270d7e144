"""Time limits of a connection to Postgres: an answer that does not come is not waited for, on either side of the line.

The server ends a statement that takes too long, and a transaction whose client has gone quiet: its locks go with it.
But a network that swallows packets tells nobody, and TCP itself asks for a quarter of an hour. So this side hangs up
too: the socket is shut down, every waiting call sees a lost connection, and the pool opens another one.
"""

import asyncio
import os
import socket
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.pipeline import Waiting, wire_of

T = TypeVar("T")

CONNECT_SECONDS = 3
#: A statement takes milliseconds; one that takes so long is waiting for something that does not come.
STATEMENT_SECONDS = 6.0
#: For work on a whole house, for jobs by the clock, and for an operator who looks at everything.
PATIENT_SECONDS = 300.0
#: So much later than the server gives a statement up we give up the server: its own words come where there is a line.
MARGIN_SECONDS = 1.0
#: No transaction lasts longer than its statements may and this: others wait for its locks, and all readers of the log
#: for its end. A client that is frozen in a pipeline is not idle, and one that was refused something is in no
#: transaction any more: it takes both limits.
SLACK_SECONDS = 2.0
#: Whether a connection lives is known in a moment.
PING_SECONDS = 1.0


def connect_arguments(statement_seconds: float) -> dict[str, Any]:
    """How to open a connection on which no statement may take longer than this."""
    limits = {
        "statement_timeout": statement_seconds,
        "transaction_timeout": statement_seconds + SLACK_SECONDS,
        # The server looks at this one only where it is the shorter one.
        "idle_in_transaction_session_timeout": statement_seconds,
    }
    options = [f"-c {name}={int(seconds * 1000)}" for name, seconds in limits.items()]
    return {
        "async_creator_fn": BoundedConnection.connect,
        "application_name": "ticketing",
        "connect_timeout": CONNECT_SECONDS,
        # A peer that has vanished is noticed by the system, also while nobody waits for it.
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": int((STATEMENT_SECONDS + MARGIN_SECONDS) * 1000),
        "options": " ".join(["-c timezone=UTC", *options]),
    }


_ENDED = (psycopg.errors.TransactionTimeout, psycopg.errors.IdleInTransactionSessionTimeout)


class BoundedConnection(psycopg.AsyncConnection[Any]):
    """psycopg's connection, which hangs up when an answer takes longer than `answer_seconds`."""

    answer_seconds = PATIENT_SECONDS + MARGIN_SECONDS

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        #: What is sent with the next statement, or before the commit.
        self.later: Waiting = []

    async def wait(self, gen: PQGen[T], *arguments: Any, **options: Any) -> T:
        hanging_up = asyncio.get_running_loop().call_later(self.answer_seconds, self._hang_up)
        try:
            return await super().wait(gen, *arguments, **options)
        except _ENDED as error:
            # They come as "internal errors"; to whoever asks it is a lost connection like any other.
            raise psycopg.OperationalError(str(error)) from None
        finally:
            hanging_up.cancel()

    def _hang_up(self) -> None:
        """Whoever waits reads the end of the connection, now; the descriptor stays libpq's to close."""
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)


async def be_patient(session: AsyncSession) -> None:
    """This transaction may have statements that take as long as PATIENT_SECONDS."""
    for limit in _PATIENT:
        await session.execute(text(limit))
    wire = await wire_of(await session.connection())
    wire.answer_seconds = PATIENT_SECONDS + MARGIN_SECONDS  # type: ignore[attr-defined]


_PATIENT = (
    f"set local statement_timeout = {int(PATIENT_SECONDS * 1000)}",
    # A running limit can be ended and begun, and not changed.
    "set local transaction_timeout = 0",
    f"set local transaction_timeout = {int((PATIENT_SECONDS + SLACK_SECONDS) * 1000)}",
)
