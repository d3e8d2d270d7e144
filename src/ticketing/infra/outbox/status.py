"""The state of the log: its partitions, the position of each reader, and the transaction that holds the horizon."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.outbox.models import UNREAD

#: Counting stops here: the exact size of a larger backlog does not matter, and counting would slow the readers down.
ROWS_MAX = 100_000


class Partition(NamedTuple):
    """A day of the log; the default partition holds rows of days without a partition."""

    name: str
    rows: int
    bytes: int
    oldest_at: datetime | None
    newest_at: datetime | None


class Reader(NamedTuple):
    """A cursor and its lease. `unread` stops at ROWS_MAX; `seconds` is the age of the oldest unread row."""

    reader: str
    counts: bool
    cursor: str
    lease_owner: str | None
    lease_until: datetime | None
    updated_at: datetime | None
    unread: int
    seconds: float


class HorizonHolder(NamedTuple):
    """The oldest transaction that writes: the horizon, which no reader passes."""

    pid: int | None
    application: str
    seconds: float | None


async def read_partitions(session: AsyncSession) -> list[Partition]:
    """Oldest day first. Rows are counted up to ROWS_MAX in each."""
    names = (await (await session.connection()).exec_driver_sql(_NAMES)).scalars().all()
    return [await _read_partition(session, name) for name in names]


async def _read_partition(session: AsyncSession, name: str) -> Partition:
    # By name and through the parent table: row-level security forbids reading a partition directly.
    values = {"name": name, "limit": ROWS_MAX}
    row = (await (await session.connection()).exec_driver_sql(_PARTITION, values)).one()
    return Partition(name, *tuple(row))


async def read_readers(session: AsyncSession, *, over_kafka: bool) -> list[Reader]:
    """Every reader; `counts` says whether rows are kept for it, with or without Kafka."""
    values = {"road": "kafka" if over_kafka else "log", "limit": ROWS_MAX}
    return [Reader(*tuple(row)) for row in await (await session.connection()).exec_driver_sql(_READERS, values)]


async def read_horizon_holders(session: AsyncSession) -> list[HorizonHolder]:
    """The transaction that holds the horizon, and for how long; empty when no transaction writes."""
    query = "select pid, application, seconds from outbox_pins()"
    return [HorizonHolder(*tuple(row)) for row in await (await session.connection()).exec_driver_sql(query)]


async def read_bytes(session: AsyncSession) -> int:
    """The size of the log on disk, with its indexes."""
    return int((await (await session.connection()).exec_driver_sql(_BYTES)).scalar() or 0)


_NAMES = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'outbox'::regclass order by 1"""

_PARTITION = """
select (select count(*) from (select from outbox where tableoid = to_regclass(%(name)s) limit %(limit)s) counted),
       pg_total_relation_size(to_regclass(%(name)s)),
       (select min(occurred_at) from outbox where tableoid = to_regclass(%(name)s)),
       (select max(occurred_at) from outbox where tableoid = to_regclass(%(name)s))"""

_BYTES = """
select sum(pg_total_relation_size(i.inhrelid)) from pg_inherits i where i.inhparent = 'outbox'::regclass"""

_READERS = f"""
select r.reader, r.road is null or r.road = %(road)s,
       r.window_from || case when r.window_to is null then '' else '..' || r.window_to || '/' || r.last_id end,
       c.lease_owner, c.lease_until, r.updated_at,
       (select count(*) from (select from outbox o where {UNREAD} limit %(limit)s) counted),
       coalesce((select extract(epoch from clock_timestamp() - o.occurred_at) from outbox o where {UNREAD}
                  order by o.xid, o.id limit 1), 0)::float8
  from outbox_readers r left join outbox_cursor c using (reader) order by 1"""  # noqa: S608 (constants)
