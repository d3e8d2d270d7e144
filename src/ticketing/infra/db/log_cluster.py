"""Finds out, on each new connection, whether the database has moved to another cluster, and lets the log go on there.

A position in the log is a transaction id plus an offset, because each cluster counts its transactions from the start.
The database function `adopt_log` chooses the offset (see its migration). A dump that was restored, a clone, an upgraded
server, a promoted standby or a logical replica goes on by itself: before its first connection is used.
"""

from typing import Any

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from ticketing.infra import log
from ticketing.infra.config import ConfigurationError
from ticketing.infra.db.driver.conninfo import conninfo_of

_log = log.get_logger(__name__)

#: True if new messages come after all cursors. A standby cannot write, and a database without the table has to be
#: migrated first. One round trip per connection: the rest of what can be ahead is read by `migrate` and by the alert.
_IS_ADOPTED = """
select pg_is_in_recovery() or (
           exists (select from log_cluster where cluster = log_cluster_here())
           and not exists (select from outbox_cursor
                            where window_from > log_position(pg_snapshot_xmax(pg_current_snapshot()))))"""
_ADOPT = "select adopt_log()"
#: Grants the owner of the log what the dump of one database does not contain: memberships belong to the cluster.
_JOIN_WORKERS = """
do $$ declare owner text := (select proowner::regrole from pg_proc where proname = 'adopt_log');
begin
    if not pg_has_role(owner, 'ticketing_workers', 'usage') then
        execute 'grant ticketing_workers to ' || owner;
    end if;
end $$"""


class LogNotAdopted(psycopg.OperationalError):
    """The log was written in another cluster and could not be adopted: run `ticketing migrate` as its owner."""


def check_new_connections(engine: Engine) -> None:
    """Adopt the log, if necessary, before a new connection of the engine is used.

    A connection is refused with LogNotAdopted if the log cannot be adopted: an outage that `ticketing migrate` ends.
    """

    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: ConnectionPoolEntry) -> None:
        connection.autocommit = True
        adopt_if_necessary(connection)
        connection.autocommit = False


def adopt_if_necessary(connection: Any) -> None:
    """Adopt the log if it was written in another cluster; `connection` is in autocommit mode.

    Does nothing in a database without the tables. Raises LogNotAdopted.
    """
    try:
        if _value(connection, _IS_ADOPTED) is False and _value(connection, _ADOPT):
            _log.warning("log_adopted")
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction):
        return
    except psycopg.Error as error:
        if connection.closed:
            raise
        _log.error("log_not_adopted", command="ticketing migrate", error=str(error))
        raise LogNotAdopted(f"{LogNotAdopted.__doc__} ({error})") from error


def check(url: str) -> None:
    """Adopt the log, if necessary, at the start of a process. Does nothing without a URL or an available database.

    Raises:
        ConfigurationError: it could not be adopted.
    """
    if not url:
        return
    try:
        with psycopg.connect(conninfo_of(url), autocommit=True, connect_timeout=5) as connection:
            adopt_if_necessary(connection)
    except LogNotAdopted as error:
        raise ConfigurationError(f"DATABASE_URL: {error}") from error
    except psycopg.OperationalError:
        return


def adopt_as_owner(url: str) -> bool:
    """Adopt the log, if any position is ahead of it, with the rights of the owner; whether it was necessary."""
    with psycopg.connect(conninfo_of(url), autocommit=True) as connection:
        connection.execute(_JOIN_WORKERS)
        return bool(_value(connection, _ADOPT))


def _value(connection: Any, query: str) -> Any:
    cursor = connection.cursor()
    cursor.execute(query)
    (value,) = cursor.fetchone()
    cursor.close()
    return value
