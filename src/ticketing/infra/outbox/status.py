"""What state the log is in: its partitions, how far each reader has come, and who keeps all of them from going on."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.outbox.models import UNREAD

#: Counting goes on to here: a backlog of this size says enough, and to count further would take from those who read.
ROWS_MAX = 100_000


class Partition(NamedTuple):
    """A day of the log; the default partition holds rows of days that nobody has made one for."""

    name: str
    rows: int
    bytes: int
    oldest_at: datetime | None
    newest_at: datetime | None


class Reader(NamedTuple):
    """A cursor on the log, and who moves it. `unread` stops at ROWS_MAX; `seconds` is the age of the oldest unread."""

    reader: str
    counts: bool
    cursor: str
    lease_owner: str | None
    lease_until: datetime | None
    updated_at: datetime | None
    unread: int
    seconds: float


class Pin(NamedTuple):
    """The oldest transaction that writes: no reader comes past it."""

    pid: int | None
    application: str
    seconds: float | None


async def read_partitions(session: AsyncSession) -> list[Partition]:
    """Oldest day first. Rows are counted up to ROWS_MAX in each."""
    names = await session.scalars(text(_NAMES))
    return [await _read_partition(session, name) for name in names.all()]


async def _read_partition(session: AsyncSession, name: str) -> Partition:
    # By name and through the log itself: row-level security lets nobody read a partition directly.
    row = (await session.execute(text(_PARTITION), {"name": name, "limit": ROWS_MAX})).one()
    return Partition(name, *row)


async def read_readers(session: AsyncSession, *, over_kafka: bool) -> list[Reader]:
    """Every reader that there is; `counts` says whether anything is kept for it, the way messages travel now."""
    asked = {"road": "kafka" if over_kafka else "log", "limit": ROWS_MAX}
    return [Reader(*row) for row in await session.execute(text(_READERS), asked)]


async def read_pins(session: AsyncSession) -> list[Pin]:
    """Who holds the end of the log, and for how long; nobody, when nobody writes."""
    return [Pin(*row) for row in await session.execute(text("select pid, application, seconds from outbox_pins()"))]


async def read_bytes(session: AsyncSession) -> int:
    """The log on the disk, with its indexes."""
    return int(await session.scalar(text(_BYTES)) or 0)


_NAMES = """
select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'outbox'::regclass order by 1"""

_PARTITION = """
select (select count(*) from (select from outbox where tableoid = to_regclass(:name) limit :limit) counted),
       pg_total_relation_size(to_regclass(:name)),
       (select min(occurred_at) from outbox where tableoid = to_regclass(:name)),
       (select max(occurred_at) from outbox where tableoid = to_regclass(:name))"""

_BYTES = """
select sum(pg_total_relation_size(i.inhrelid)) from pg_inherits i where i.inhparent = 'outbox'::regclass"""

_READERS = f"""
select r.reader, r.road is null or r.road = :road,
       r.window_from || case when r.window_to is null then '' else '..' || r.window_to || '/' || r.last_id end,
       c.lease_owner, c.lease_until, r.updated_at,
       (select count(*) from (select from outbox o where {UNREAD} limit :limit) counted),
       coalesce((select extract(epoch from clock_timestamp() - o.occurred_at) from outbox o where {UNREAD}
                  order by o.xid, o.id limit 1), 0)::float8
  from outbox_readers r left join outbox_cursor c using (reader) order by 1"""  # noqa: S608 (constants)
