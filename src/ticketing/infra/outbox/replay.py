"""The log, once more: an operator has a part of it published or delivered again, and forgets readers that are gone.

A replay is in log order and brings each message under its own id, so that whoever knows ids skips what it has done.
Only what its reader has left behind is replayed: the rest comes by itself.
"""

from collections.abc import AsyncIterator, Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import log
from ticketing.infra.db import Database
from ticketing.infra.outbox.encoded_rows import ENCODE_ROW, EncodedRow, id_of
from ticketing.infra.outbox.reader import PAGE_ROWS

_log = log.get_logger(__name__)


class Replayed(NamedTuple):
    """What a replay has of one topic; `undone` are those that the consumer's inbox does not know."""

    topic: str
    rows: int
    undone: int
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of the log that is replayed: rows of these topics from then on, to where the reader stands now."""

    since: datetime
    topics: tuple[str, ...]
    window_from: str
    window_to: str | None
    last_id: int

    @property
    def asked(self) -> dict[str, Any]:
        return {**asdict(self), "topics": list(self.topics)}


async def stretch(
    session: AsyncSession, reader: str, since: ColumnElement[Any], topics: Collection[str]
) -> Stretch | None:
    """What `reader` has left behind of it; None when there is no such reader. `since` is a moment of the database."""
    query = "select window_from::text, window_to::text, last_id from outbox_cursor where reader = :reader"
    cursor = (await session.execute(text(query), {"reader": reader})).one_or_none()
    if cursor is None:
        return None
    moment = (await session.scalars(select(since))).one()
    return Stretch(moment, tuple(sorted(topics)), *cursor)


async def count(session: AsyncSession, part: Stretch, consumer: str) -> list[Replayed]:
    """How much it is, by topic."""
    rows = await session.execute(text(_COUNT), {**part.asked, "consumer": consumer})
    return [Replayed(*row) for row in rows]


async def pages(database: Database, part: Stretch, undone_by: str | None = None) -> AsyncIterator[list[EncodedRow]]:
    """Its rows in log order, PAGE_ROWS at a time; with `undone_by`, those that this consumer's inbox does not know."""
    last_id = 0
    while True:
        async with database.transaction() as session:
            asked = {**part.asked, "behind": last_id, "limit": PAGE_ROWS, "consumer": undone_by}
            rows = [*await session.scalars(text(_PAGE), asked)]
        if not rows:
            return
        last_id = id_of(rows[-1])
        yield rows


async def forget(database: Database, reader: str) -> bool:
    """Let go of a reader that is gone for good: nothing is kept for it any more. False while somebody reads for it."""
    async with database.transaction() as session:
        gone = await session.scalar(text(_FORGET), {"reader": reader})
    if gone is not None:
        _log.info("reader_forgotten", reader=reader)
    return gone is not None


# Left behind are whole windows, and what was done of the one that is open. All of it has ended, so the order of ids is
# that in which a reader that begins today would take it.
_PART = """
  from outbox o
 where o.occurred_at >= :since and o.topic = any (cast(:topics as text[]))
   and (o.xid < cast(:window_from as xid8) or (o.xid < cast(:window_to as xid8) and o.id <= :last_id))"""

_COUNT = f"""
select o.topic, count(*), count(*) filter (where not exists (
           select from inbox i where i.consumer = :consumer and i.message_id = o.message_id)),
       min(o.occurred_at), max(o.occurred_at) {_PART} group by 1 order by 1"""  # noqa: S608 (constants)

_PAGE = f"""
select {ENCODE_ROW} {_PART} and o.id > :behind
   and (cast(:consumer as text) is null or not exists (
           select from inbox i where i.consumer = :consumer and i.message_id = o.message_id))
 order by o.id limit :limit"""  # noqa: S608 (constants)

_FORGET = """
delete from outbox_cursor where reader = :reader
   and (lease_owner is null or lease_until < clock_timestamp()) returning reader"""
