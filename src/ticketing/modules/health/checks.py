"""Is what we depend on there? Each question has its own short time limit, and no answer is ever an exception.

Critical are Postgres and its schema: without them no request can be answered. Redis and the bus are not. Without Redis
holds, orders and payments go on, viewers of the map poll, and readers of the log poll; without consumers the facts wait
in the log, in order. Taking this process out of service for either would turn a small loss into a total one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from ticketing.infra import log
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, schema

CHECK_SECONDS_MAX = 2.0
#: Readers of the log look every second; one that has not for so long is gone.
READER_SILENT_SECONDS = 30

_log = log.get_logger(__name__)


class Status(StrEnum):
    """How a dependency is."""

    OK = "ok"
    #: Not as it should be, and we go on without it.
    DEGRADED = "degraded"
    #: We can't work without it.
    DOWN = "down"


class NotAsItShouldBe(Exception):
    """The check ran, and found this."""

    def __init__(self, **details: Any) -> None:
        self.details = details


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found. `latency_ms` is the time that the dependency took to answer, or that we waited."""

    status: Status
    is_critical: bool
    latency_ms: float
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dependencies:
    """What there is to check. Probes open a connection of their own: a busy pool says nothing about Postgres."""

    settings: Settings
    database: Database
    redis: Redis
    probe: AsyncEngine

    @classmethod
    def of(cls, settings: Settings, database: Database, redis: Redis) -> "Dependencies":
        options = {"application_name": "ticketing-health", "options": "-c timezone=UTC -c statement_timeout=2000"}
        probe = create_async_engine(
            database.engine.url, poolclass=NullPool, connect_args={"connect_timeout": 2, **options}
        )
        return cls(settings, database, redis, probe)


async def check_database(on: Dependencies) -> dict[str, Any]:
    async with on.probe.connect() as connection:
        row = (await connection.execute(text("select current_setting('server_version') as v"))).one()
    return {"server_version": row.v}


async def check_migrations(on: Dependencies) -> dict[str, Any]:
    """A database ahead of this code is in order: the next release migrates before its processes replace ours."""
    async with AsyncSession(on.probe) as session:
        # No tables yet is no error.
        has_tables = await session.scalar(text("select to_regclass('alembic_version')"))
        current = await session.scalar(text("select version_num from alembic_version")) if has_tables else None
    versions = {"current": current, "newest": schema.newest()}
    if current is None or (current in schema.versions() and current != schema.newest()):
        raise NotAsItShouldBe(**versions)
    return versions


async def check_cache(on: Dependencies) -> dict[str, Any]:
    await on.redis.ping()
    return {}


async def check_bus(on: Dependencies) -> dict[str, Any]:
    if on.settings.is_distributed:
        return await asyncio.to_thread(_ask_broker, on.settings.kafka_bootstrap_servers)
    readers = {"seconds": READER_SILENT_SECONDS}
    async with on.probe.connect() as connection:
        rows = (await connection.execute(_READERS, readers)).all()
    silent = sorted(row.reader for row in rows if row.is_silent)
    if silent or not rows:
        raise NotAsItShouldBe(transport="log", readers=len(rows), silent=silent)
    return {"transport": "log", "readers": len(rows)}


_READERS = text("""
select reader, updated_at < now() - make_interval(secs => :seconds) as is_silent from outbox_cursor
 where reader <> 'relay'""")


def _ask_broker(bootstrap: str) -> dict[str, Any]:
    brokers = _admin(bootstrap).list_topics(timeout=CHECK_SECONDS_MAX * 0.75).brokers
    return {"transport": "kafka", "brokers": len(brokers)}


@lru_cache(maxsize=1)
def _admin(bootstrap: str) -> Any:
    # A client has threads and connections of its own, so it is made once, and only where there is a broker.
    from confluent_kafka.admin import AdminClient

    from ticketing.infra.kafka import client_settings

    return AdminClient(client_settings(bootstrap, "health"))


@dataclass(frozen=True, slots=True)
class Check:
    """A question about a dependency; it answers with details, or raises."""

    ask: Callable[[Dependencies], Awaitable[dict[str, Any]]]
    is_critical: bool


CHECKS = {
    "database": Check(check_database, is_critical=True),
    "migrations": Check(check_migrations, is_critical=True),
    "cache": Check(check_cache, is_critical=False),
    "bus": Check(check_bus, is_critical=False),
}


async def run_check(name: str, on: Dependencies) -> Finding:
    """Ask once, for at most CHECK_SECONDS_MAX."""
    check, started = CHECKS[name], time.perf_counter()
    status, details = Status.OK, {}
    try:
        async with asyncio.timeout(CHECK_SECONDS_MAX):
            details = await check.ask(on)
    except Exception as error:
        status = Status.DOWN if check.is_critical else Status.DEGRADED
        # The kind of error and no more: its text may name hosts and users, and this address is open to everybody.
        details = error.details if isinstance(error, NotAsItShouldBe) else {"error": type(error).__name__}
        _log.warning("check_failed", check=name, status=status, **details)
    return Finding(status, check.is_critical, round((time.perf_counter() - started) * 1000, 1), details)
