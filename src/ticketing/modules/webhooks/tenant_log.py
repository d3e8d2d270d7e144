"""A tenant's reading of the log: its own rows, in windows of finished transactions, as every reader takes them.

A position is all that a reading remembers, so it can be kept by whoever reads: read again from an old one, and the same
facts come again. Windows end where one could have ended at the time, by the horizons that the scheduler notes: days of
the log are read in many windows, and a page costs what its window holds and not what the days hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.modules.webhooks import topic_filter


@dataclass(frozen=True, slots=True)
class Position:
    """Everything before `window_from` is read; of the window that is open, everything up to `last_id`."""

    window_from: str = "0"
    #: None while no window is open.
    window_to: str | None = None
    last_id: int = 0


class Row(NamedTuple):
    """One fact of the tenant's."""

    id: int
    message_id: UUID
    topic: str
    schema_version: int
    occurred_at: datetime
    payload: dict[str, Any]


class Reading(NamedTuple):
    """A page, where it ends, and as of when: the last row's time, or the present at the end of the log."""

    rows: list[Row]
    position: Position
    at: datetime


async def read(
    session: AsyncSession, organization_id: UUID, position: Position, types: Sequence[str], limit: int
) -> Reading:
    """The next rows in log order, at most `limit`. The transaction is that of a worker, or has entered the tenant.

    `types` are names and prefixes of topics; none means all.
    """
    rows: list[Row] = []
    asked: dict[str, Any] = {"organization_id": organization_id, "all": not types, **topic_filter.as_query(types)}
    if position.window_to is not None:
        rows = await _read_window(session, asked, position, limit)
        if len(rows) == limit:
            return _cut(rows, position)
        position = Position(position.window_to)
    # A window holds at least as many rows as are wanted, or reaches to the end: one more is enough.
    asked["wanted"] = limit - len(rows)
    window = (await session.execute(_WINDOW, {**asked, "window_from": position.window_from})).one()
    position = Position(position.window_from, window.window_to)
    more = await _read_window(session, asked, position, limit - len(rows))
    rows += more
    return _cut(rows, position) if len(rows) == limit else Reading(rows, Position(window.window_to), window.at)


async def get_horizon(session: AsyncSession) -> str:
    """Where a reading begins that wants nothing of the past."""
    return str(await session.scalar(_HORIZON))


async def get_oldest(session: AsyncSession) -> datetime:
    """The beginning of the oldest day that is kept; what came before it is gone."""
    oldest: datetime = (await session.execute(_OLDEST)).scalar_one()
    return oldest


def _cut(rows: list[Row], position: Position) -> Reading:
    last = rows[-1]
    return Reading(rows, Position(position.window_from, position.window_to, last.id), last.occurred_at)


async def _read_window(session: AsyncSession, asked: dict[str, Any], window: Position, limit: int) -> list[Row]:
    values = {"window_from": window.window_from, "window_to": window.window_to, "last_id": window.last_id}
    rows = await session.execute(_ROWS, {**asked, **values, "limit": limit})
    return [Row(*row) for row in rows]


_HORIZON = text("select cast(pg_snapshot_xmin(pg_current_snapshot()) as text)")

_WANTED = """(:all or topic = any(cast(:names as text[]))
        or exists (select from unnest(cast(:prefixes as text[])) as p (prefix) where starts_with(topic, p.prefix)))"""

# To the first horizon behind as many rows as are wanted; to the present one when there are fewer, or when a window that
# ends at the first would be too small.
_WINDOW = text(f"""
with present as (select pg_snapshot_xmin(pg_current_snapshot()) as xid),
     enough as (select o.xid from outbox o, present p
                 where o.organization_id = :organization_id and o.xid >= cast(:window_from as xid8) and o.xid < p.xid
                   and {_WANTED}
                 order by o.xid offset :wanted - 1 limit 1)
select cast(coalesce(
           (select n.window_to from enough e cross join lateral (
                select outbox_window_end(cast(:window_from as xid8), h.xid, :organization_id) as window_to
                  from log_horizons h where h.xid > e.xid and h.xid < p.xid order by h.xid limit 1) n
             where n.window_to > e.xid),
           outbox_window_end(cast(:window_from as xid8), p.xid, :organization_id)) as text) as window_to,
       now() as at
  from present p""")  # noqa: S608 (constants)

_ROWS = text(f"""
select id, message_id, topic, schema_version, occurred_at, payload
  from outbox
 where organization_id = :organization_id and id > :last_id
   and xid >= cast(:window_from as xid8) and xid < cast(:window_to as xid8)
   and {_WANTED}
 order by id limit :limit""")  # noqa: S608

# A fresh database has kept everything since it was made.
_OLDEST = text("""
select coalesce(min(to_date(substr(c.relname, 8), 'YYYYMMDD')), current_date)::timestamptz
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$'""")
