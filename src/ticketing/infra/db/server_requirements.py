"""What the platform needs of the server behind a database URL, checked before the first request or message.

PostgreSQL 17 has `transaction_timeout`, without which a frozen process could block all others. A connection pooler in
transaction mode gives each transaction any of its server connections: prepared statements that it does not track run on
the wrong one, where the same name can be another client's statement, and limits that are set for a session are lost.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg

from ticketing.infra.config import ConfigurationError
from ticketing.infra.db import outage_log, timeouts
from ticketing.infra.db.driver.connection import shut_down
from ticketing.infra.db.driver.conninfo import conninfo_of

VERSION_MIN = 17
#: Rounds of the probe for a pooler: a busy pooler may by chance give a connection the same server twice.
ROUNDS = 5
#: Longest wait of the probe, for example for a server connection of a pool that is exhausted.
PROBE_SECONDS = 3.0

#: SQLSTATE invalid_sql_statement_name.
UNKNOWN_STATEMENT = b"26000"

_POOLER = (
    "this is a connection pooler in transaction mode without support for prepared statements; set "
    "DATABASE_PREPARE_THRESHOLD=0, use PgBouncer 1.21 or later with max_prepared_statements, or pool whole sessions"
)


class UnsupportedServer(ConfigurationError):
    """The server, or the pooler before it, lacks something that the platform needs."""


def check_server(name: str, url: str, prepare_threshold: int) -> bool:
    """Whether the server was checked; False without a URL or while it is unavailable. Blocks for a few seconds.

    `name` is the setting of the URL, for the sentence of the error.

    Raises:
        UnsupportedServer: PostgreSQL before 17, or a pooler that would mix up or drop the state of sessions.
    """
    if not url:
        return False
    try:
        with _connected(url) as connection:
            _check(name, url, connection, prepare_threshold)
    except psycopg.OperationalError as error:
        if "startup parameter" in str(error):
            raise UnsupportedServer(
                f"{name}: the pooler refuses the parameter `options`; add it to ignore_startup_parameters, and set the "
                "limits on the role as docs/operations.md says"
            ) from None
        outage_log.record_failed_connect(error)
        return False
    return True


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that is lost after PROBE_SECONDS: a pooler lets a client wait for minutes without a word."""
    arguments = timeouts.connect_arguments(PROBE_SECONDS) | {"prepare_threshold": None}
    del arguments["async_creator_fn"]
    with psycopg.connect(conninfo_of(url), autocommit=True, **arguments) as connection:
        timer = threading.Timer(PROBE_SECONDS, shut_down, (connection,))
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()


def _check(name: str, url: str, connection: psycopg.Connection[Any], prepare_threshold: int) -> None:
    version = connection.info.server_version // 10_000
    if version < VERSION_MIN:
        raise UnsupportedServer(f"{name}: is PostgreSQL {version}; {VERSION_MIN} or later is needed")
    with connection.transaction():
        limits = connection.execute(_LIMITS).fetchone()
    if limits != ("UTC", True):
        role, database = connection.info.user, connection.info.dbname
        milliseconds = int(timeouts.STATEMENT_SECONDS * 1000)
        raise UnsupportedServer(
            f"{name}: the pooler drops the parameter `options`; run `alter role {role} in database {database} set "
            f"statement_timeout = {milliseconds}`, and set transaction_timeout, idle_in_transaction_session_timeout "
            "and timezone likewise, as docs/operations.md says"
        )
    if prepare_threshold and _mixes_statements(connection, url):
        raise UnsupportedServer(f"{name}: {_POOLER}")


_LIMITS = """
select current_setting('TimeZone'),
       bool_and(current_setting(limit_name) <> '0')
  from unnest(array['statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout']) as limit_name"""


def _mixes_statements(first: psycopg.Connection[Any], url: str) -> bool:
    """Whether a prepared statement of one client gets lost, or is visible to another client.

    A second client occupies a server connection during a transaction, as a rule the one that the first client has just
    used. Without a pooler, or with one that tracks prepared statements, the first client notices nothing.
    """
    with _connected(url) as second:
        for _ in range(ROUNDS):
            statement = f"probe_{uuid4().hex}".encode()
            _expect(first.pgconn.prepare(statement, b"select 1"))
            with second.transaction():
                if second.execute(_IS_VISIBLE, [statement.decode()]).rowcount:
                    return True
                result = first.pgconn.exec_prepared(statement, [])
                if result.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == UNKNOWN_STATEMENT:
                    return True
                _expect(result)
    return False


_IS_VISIBLE = "select from pg_prepared_statements where name = %s"


def _expect(result: psycopg.pq.abc.PGresult) -> None:
    if result.status not in (psycopg.pq.ExecStatus.COMMAND_OK, psycopg.pq.ExecStatus.TUPLES_OK):
        raise psycopg.OperationalError(result.get_error_message())
