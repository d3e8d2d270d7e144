"""Reads the rows of one tenant from the log, in windows of finished transactions like every other reader.

The position is the whole state of a reader, so the caller can store it. Reading again from an old position returns the
same messages. A window ends where one could have ended at the time, at a horizon that the scheduler recorded: days of
the log are read in many windows, and a page costs in proportion to its window, not to the days.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Text, cast, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.outbox import HORIZON
from ticketing.modules.webhooks import topic_filter


@dataclass(frozen=True, slots=True)
class Position:
    """Everything before `window_from` is read, and in the open window everything up to `last_id`."""

    window_from: str = "0"
    #: None while no window is open.
    window_to: str | None = None
    last_id: int = 0


class LogRow(NamedTuple):
    """One message of the tenant."""

    id: int
    message_id: UUID
    topic: str
    schema_version: int
    occurred_at: datetime
    payload: dict[str, Any]


class LogPage(NamedTuple):
    """A page, the position after it, and its time: that of the last row, or the current time at the end of the log."""

    rows: list[LogRow]
    position: Position
    at: datetime


_MATCHES_TYPES = """(%s or topic = any(%s::text[])
        or exists (select from unnest(%s::text[]) as p (prefix) where starts_with(topic, p.prefix)))"""

# Ends at the first horizon that has as many rows before it as are wanted. Ends at the current horizon if there are
# fewer rows, or if a window that ends at the first one would be too small.
_WINDOW = f"""
with present as (select log_position(pg_snapshot_xmin(pg_current_snapshot())) as xid),
     enough as (select o.xid from outbox o, present p
                 where o.organization_id = %s and o.xid >= %s::xid8 and o.xid < p.xid
                   and {_MATCHES_TYPES}
                 order by o.xid offset %s - 1 limit 1)
select cast(coalesce(
           (select n.window_to from enough e cross join lateral (
                select outbox_window_end(%s::xid8, h.xid, %s) as window_to
                  from log_horizons h where h.xid > e.xid and h.xid < p.xid order by h.xid limit 1) n
             where n.window_to > e.xid),
           outbox_window_end(%s::xid8, p.xid, %s)) as text) as window_to,
       now() as at
  from present p"""  # noqa: S608 (only constants)

_ROWS = f"""
select id, message_id, topic, schema_version, occurred_at, payload
  from outbox
 where organization_id = %s and id > %s and xid >= %s::xid8 and xid < %s::xid8
   and {_MATCHES_TYPES}
 order by id limit %s"""  # noqa: S608 (only constants)

# Without partitions, the database is fresh, and nothing has been dropped.
_OLDEST = """
select coalesce(min(to_date(substr(c.relname, 8), 'YYYYMMDD')), current_date)::timestamptz
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
 where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_[0-9]{8}$'"""


async def read_page(
    session: AsyncSession, organization_id: UUID, position: Position, types: Sequence[str], limit: int
) -> LogPage:
    """The next rows in log order, at most `limit`. The session is a worker's, or has entered the tenant.

    `types` are names and prefixes of topics; none means all.
    """
    rows: list[LogRow] = []
    if position.window_to is not None:
        rows = await _read_window(session, organization_id, position, types, limit)
        if len(rows) == limit:
            return _full_page(rows, position)
        position = Position(position.window_to)
    # A window holds at least the wanted number of rows, or reaches the end of the log: one more window is enough.
    wanted = limit - len(rows)
    window_to, at = await _open_window(session, organization_id, position.window_from, types, wanted)
    position = Position(position.window_from, window_to)
    rows += await _read_window(session, organization_id, position, types, wanted)
    return _full_page(rows, position) if len(rows) == limit else LogPage(rows, Position(window_to), at)


async def get_horizon(session: AsyncSession) -> str:
    """The position from which a reader gets only new messages."""
    return str(await session.scalar(select(cast(HORIZON, Text))))


async def get_oldest(session: AsyncSession) -> datetime:
    """The beginning of the oldest day that is retained."""
    row = await (await statements.execute(session, _OLDEST)).fetchone()
    assert row is not None
    oldest: datetime = row[0]
    return oldest


def _full_page(rows: list[LogRow], position: Position) -> LogPage:
    last = rows[-1]
    return LogPage(rows, Position(position.window_from, position.window_to, last.id), last.occurred_at)


async def _open_window(
    session: AsyncSession, organization_id: UUID, window_from: str, types: Sequence[str], wanted: int
) -> tuple[str, datetime]:
    """The end of a window with at least `wanted` rows, and the current time of the database."""
    ends = window_from, organization_id
    values = organization_id, window_from, *_values(types), wanted, *ends, *ends
    window = await (await statements.execute(session, _WINDOW, *values)).fetchone()
    assert window is not None
    return window[0], window[1]


async def _read_window(
    session: AsyncSession, organization_id: UUID, window: Position, types: Sequence[str], limit: int
) -> list[LogRow]:
    values = organization_id, window.last_id, window.window_from, window.window_to, *_values(types), limit
    return [LogRow(*row) for row in await (await statements.execute(session, _ROWS, *values)).fetchall()]


def _values(types: Sequence[str]) -> tuple[bool, list[str], list[str]]:
    """The values of `_MATCHES_TYPES`."""
    return not types, *topic_filter.names_and_prefixes(types)
