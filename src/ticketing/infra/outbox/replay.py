"""Replays a part of the log, and forgets readers that are no longer used: for operators.

A replay is in log order and keeps the message ids, so that a consumer skips what it has already processed. It covers
only what its reader has passed: the reader will read the rest itself.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.db import Database
from ticketing.infra.outbox.encoded_rows import ENCODE_ROW, EncodedRow, id_of
from ticketing.infra.outbox.reader import PAGE_ROWS

_log = log.get_logger(__name__)


class TopicCount(NamedTuple):
    """How much of one topic a replay covers; `unprocessed` counts the messages that are not in the consumer's inbox."""

    topic: str
    rows: int
    unprocessed: int
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class ReplayRange:
    """The part of the log that is replayed: rows of these topics since a time, up to the reader's position."""

    since: datetime
    topics: tuple[str, ...]
    window_from: str
    window_to: str | None
    last_id: int

    @property
    def parameters(self) -> dict[str, Any]:
        return {**asdict(self), "topics": list(self.topics)}


async def find_range(
    session: AsyncSession, reader: str, since: ColumnElement[Any], topics: Collection[str]
) -> ReplayRange | None:
    """The range that `reader` has passed; None if there is no such reader. `since` is evaluated by the database."""
    query = "select window_from::text, window_to::text, last_id from outbox_cursor where reader = %(reader)s"
    cursor = (await (await session.connection()).exec_driver_sql(query, {"reader": reader})).one_or_none()
    if cursor is None:
        return None
    since_at = (await session.scalars(select(since))).one()
    return ReplayRange(since_at, tuple(sorted(topics)), *tuple(cursor))


async def count(session: AsyncSession, part: ReplayRange, consumer: str) -> list[TopicCount]:
    """The size of the range, by topic."""
    values = {**part.parameters, "consumer": consumer}
    return [TopicCount(*tuple(row)) for row in await (await session.connection()).exec_driver_sql(_COUNT, values)]


async def pages(
    database: Database, part: ReplayRange, unprocessed_by: str | None = None
) -> AsyncIterator[list[EncodedRow]]:
    """The rows in log order, PAGE_ROWS at a time; with `unprocessed_by`, only those not in that consumer's inbox."""
    last_id = 0
    while True:
        async with database.transaction() as session:
            values = {**part.parameters, "behind": last_id, "limit": PAGE_ROWS, "consumer": unprocessed_by}
            rows = [*(await (await session.connection()).exec_driver_sql(_PAGE, values)).scalars()]
        if not rows:
            return
        last_id = id_of(rows[-1])
        yield rows


async def forget(database: Database, reader: str) -> bool:
    """Delete a reader's cursor, so that no partition is kept for it; False while a process holds its lease."""
    async with database.transaction() as session:
        gone = (await (await session.connection()).exec_driver_sql(_FORGET, {"reader": reader})).scalar()
    if gone is not None:
        _log.info("reader_forgotten", reader=reader)
    return gone is not None


# The reader has passed whole windows, and a part of the one that is open. All of these transactions have ended, so the
# order of ids is the order in which a new reader would read them.
_PART = """
  from outbox o
 where o.occurred_at >= %(since)s and o.topic = any (cast(%(topics)s as text[]))
   and (o.xid < cast(%(window_from)s as xid8) or (o.xid < cast(%(window_to)s as xid8) and o.id <= %(last_id)s))"""

_COUNT = f"""
select o.topic, count(*), count(*) filter (where not exists (
           select from inbox i where i.consumer = %(consumer)s and i.message_id = o.message_id)),
       min(o.occurred_at), max(o.occurred_at) {_PART} group by 1 order by 1"""  # noqa: S608 (constants)

_PAGE = f"""
select {ENCODE_ROW} {_PART} and o.id > %(behind)s
   and (cast(%(consumer)s as text) is null or not exists (
           select from inbox i where i.consumer = %(consumer)s and i.message_id = o.message_id))
 order by o.id limit %(limit)s"""  # noqa: S608 (constants)

_FORGET = """
delete from outbox_cursor where reader = %(reader)s
   and (lease_owner is null or lease_until < clock_timestamp()) returning reader"""
