"""Checks of the dependencies. Each has its own short timeout, and the result is never an exception.

Postgres and its schema are critical: without them no request can be served. Redis and the bus are not. Without Redis,
holds, orders and payments continue, and viewers of the map and readers of the log poll; without consumers, messages
wait in the log, in order. Taking the process out of service for either would turn a partial outage into a full one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, schema, timeouts
from ticketing.infra.db.server_requirements import UnsupportedServer, check_server
from ticketing.infra.db.sqlstates import ServerUnavailable
from ticketing.infra.system.outside_calls import assert_no_transaction

CHECK_SECONDS_MAX = 2.0
#: Readers poll the log every second. One that has not done so for this long counts as silent.
READER_SILENT_SECONDS = 30

_log = log.get_logger(__name__)


class Status(StrEnum):
    """The state of a dependency."""

    OK = "ok"
    #: Impaired, and the process serves requests without it.
    DEGRADED = "degraded"
    #: Missing, and the process cannot serve requests.
    DOWN = "down"


class CheckFailed(Exception):
    """The check ran and found a problem; `details` describes it."""

    def __init__(self, **details: Any) -> None:
        self.details = details


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of a check. `latency_ms`: until the dependency responded, or until the timeout."""

    status: Status
    is_critical: bool
    latency_ms: float
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What is checked. Probes open a connection outside of the pool: a busy pool says nothing about Postgres."""

    settings: Settings
    database: Database
    redis: Redis
    probe: AsyncEngine

    @classmethod
    def of(cls, settings: Settings, database: Database, redis: Redis) -> "Dependencies":
        own = {"application_name": "ticketing-health", "connect_timeout": 2}
        arguments = timeouts.connect_arguments(CHECK_SECONDS_MAX, settings.database_prepare_threshold) | own
        probe = create_async_engine(database.engine.url, poolclass=NullPool, connect_args=arguments)
        return cls(settings, database, redis, probe)


async def check_database(dependencies: Dependencies) -> dict[str, Any]:
    """Whether Postgres responds, is one that the platform supports, and accepts writes; writes nothing."""
    async with dependencies.probe.connect() as connection:
        row = (await connection.exec_driver_sql(_SERVER)).one()
    if row.is_read_only:
        raise CheckFailed(server_version=row.version, error="read_only")
    settings = dependencies.settings
    try:
        # After the first success it is not repeated, except for another version: it opens further connections.
        await asyncio.to_thread(_check_once, row.version, settings.database_url, settings.database_prepare_threshold)
    except UnsupportedServer as error:
        _log.error("unsupported_server", error=str(error))
        raise CheckFailed(server_version=row.version, error="unsupported_server") from None
    return {"server_version": row.version}


# A standby is read-only, and so is a server whose operator or file system has made it so. The probe's transaction has
# the server's default.
_SERVER = """
select current_setting('server_version') as version,
       pg_is_in_recovery() or current_setting('transaction_read_only')::boolean as is_read_only"""


@lru_cache(maxsize=8)
def _check_once(server_version: str, url: str, prepare_threshold: int) -> None:
    if not check_server("DATABASE_URL", url, prepare_threshold):
        raise ServerUnavailable


async def check_migrations(dependencies: Dependencies) -> dict[str, Any]:
    """A schema newer than this code passes: the next release migrates before its processes replace these."""
    async with dependencies.probe.connect() as connection:
        # A database without tables is reported, not raised as an error.
        has_tables = (await connection.exec_driver_sql("select to_regclass('alembic_version')")).scalar()
        version = "select version_num from alembic_version"
        current = (await connection.exec_driver_sql(version)).scalar() if has_tables else None
    versions = {"current": current, "newest": schema.newest()}
    if current is None or (current in schema.versions() and current != schema.newest()):
        raise CheckFailed(**versions)
    return versions


async def check_cache(dependencies: Dependencies) -> dict[str, Any]:
    await dependencies.redis.ping()
    return {}


async def check_bus(dependencies: Dependencies) -> dict[str, Any]:
    if dependencies.settings.is_distributed:
        return await asyncio.to_thread(_list_brokers, dependencies.settings.kafka_bootstrap_servers)
    async with dependencies.probe.connect() as connection:
        rows = (await connection.exec_driver_sql(_READERS, (READER_SILENT_SECONDS,))).all()
    silent = sorted(row.reader for row in rows if row.is_silent)
    if silent or not rows:
        raise CheckFailed(transport="log", readers=len(rows), silent=silent)
    return {"transport": "log", "readers": len(rows)}


_READERS = """
select reader, updated_at < now() - make_interval(secs => %s) as is_silent from outbox_cursor
 where reader <> 'relay'"""


def _list_brokers(bootstrap: str) -> dict[str, Any]:
    assert_no_transaction("the Kafka admin client")
    brokers = _admin(bootstrap).list_topics(timeout=CHECK_SECONDS_MAX * 0.75).brokers
    return {"transport": "kafka", "brokers": len(brokers)}


@lru_cache(maxsize=1)
def _admin(bootstrap: str) -> Any:
    # A client has its own threads and connections, so it is created once, and only when there is a broker.
    from confluent_kafka.admin import AdminClient

    from ticketing.infra.kafka import client_settings

    return AdminClient(client_settings(bootstrap, "health"))


@dataclass(frozen=True, slots=True)
class Check:
    """A check of one dependency: `run` returns details, or raises."""

    run: Callable[[Dependencies], Awaitable[dict[str, Any]]]
    is_critical: bool


CHECKS = {
    "database": Check(check_database, is_critical=True),
    "migrations": Check(check_migrations, is_critical=True),
    "cache": Check(check_cache, is_critical=False),
    "bus": Check(check_bus, is_critical=False),
}


async def run_check(name: str, dependencies: Dependencies) -> CheckResult:
    """Run one check of CHECKS, for at most CHECK_SECONDS_MAX."""
    check, started = CHECKS[name], time.perf_counter()
    status, details = Status.OK, {}
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            details = await check.run(dependencies)
    except Exception as error:
        status = Status.DOWN if check.is_critical else Status.DEGRADED
        # Only the kind of error: its text may name hosts and users, and this endpoint needs no authentication.
        details = error.details if isinstance(error, CheckFailed) else {"error": type(error).__name__}
        _log.warning("check_failed", check=name, status=status, **details)
    return CheckResult(status, check.is_critical, round((time.perf_counter() - started) * 1000, 1), details)
