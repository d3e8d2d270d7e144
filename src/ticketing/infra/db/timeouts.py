"""Time limits of a connection to Postgres, on both sides.

The server ends a statement that takes too long, and a transaction whose client is silent, and so releases its locks.
A network that drops packets produces no error, and TCP retransmits for a quarter of an hour. So the client has a limit
of its own: it shuts the socket down, every waiting call gets a lost connection, and the pool opens another one.
"""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import planning
from ticketing.infra.db.driver.connection import BoundedConnection
from ticketing.infra.db.pipeline import driver_connection

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
        "options": " ".join(["-c timezone=UTC", *options, *planning.options()]),
    }


async def allow_long_statements(session: AsyncSession) -> None:
    """Let the statements of this transaction take up to LONG_STATEMENT_SECONDS."""
    pooled = await session.connection()
    for limit in _LONG_LIMITS:
        await pooled.exec_driver_sql(limit)
    connection = await driver_connection(pooled)
    connection.result_seconds = LONG_STATEMENT_SECONDS + CLIENT_MARGIN_SECONDS


_LONG_LIMITS = (
    f"set local statement_timeout = {int(LONG_STATEMENT_SECONDS * 1000)}",
    # A running limit cannot be changed, only ended and started.
    "set local transaction_timeout = 0",
    f"set local transaction_timeout = {int((LONG_STATEMENT_SECONDS + TRANSACTION_MARGIN_SECONDS) * 1000)}",
)
