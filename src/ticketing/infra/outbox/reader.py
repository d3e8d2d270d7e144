"""Whoever reads the log does it under a lease with a fencing token: one process at a time for each reader.

How windows keep the order is said in outbox.py. The relay reads in a way of its own: see outbox_pages.py.
"""

import math
import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database
from ticketing.infra.outbox import lease_owner
from ticketing.infra.outbox.message import Delivery

#: So long does a reader that vanished keep its successor waiting, at most. A process that ends gracefully lets go, and
#: one that was killed on its successor's machine is known to be dead.
LEASE_SECONDS = 6
#: How often a process that stands by looks whether it may take over.
STANDBY_SECONDS = 0.5
#: A reader that has nothing to do renews its lease so often.
RENEW_SECONDS = LEASE_SECONDS / 3
PAGE_ROWS = 500


def clocks() -> tuple[float, float]:
    """One that nobody sets, for ourselves, and the one that others have too; seconds."""
    return time.monotonic(), time.time()


class LeaseLost(Exception):
    """Another process reads for this reader now; what this one was about to do must not be done."""


class LogReader:
    """Reads the log for one reader, under a lease with a fencing token.

    Every call opens a short transaction of its own. `read` and `advance` raise LeaseLost as soon as another process has
    taken over, so that one which was paused and wakes up can't move the cursor.
    """

    def __init__(self, database: Database, reader: str, owner: str, topics: Collection[str] | None = None) -> None:
        """`topics` are those that it wants to see; None: all. What others are about costs it nothing but the window."""
        self.database, self._reader, self._owner = database, reader, owner
        self._page, self._topics = (
            (text(_PAGE), {}) if topics is None else (text(_PAGE_OF_TOPICS), {"topics": [*topics]})
        )
        self._fence = 0
        #: Done for good, and not yet told to the cursor.
        self._done: int | None = None
        #: From then on the lease is ours for LEASE_SECONDS, whatever else happens: on `time.monotonic` and `time.time`.
        self.held_at, self.held_at_time = -math.inf, -math.inf
        #: The last read brought nothing.
        self.is_resting = False

    async def acquire(self) -> bool:
        """Take or renew the lease; False while somebody else holds it, who may be alive."""
        me = {"reader": self._reader, "owner": self._owner}
        async with self.database.transaction() as session:
            # Who stands by looks often, and writes nothing as long as it is in vain.
            holder = await session.scalar(text(_HOLDER), me)
            if holder is not None and not lease_owner.is_dead(holder):
                return False
            asked_at = clocks()
            fence = await session.scalar(text(_ACQUIRE), {**me, "dead": holder, "seconds": LEASE_SECONDS})
        self._fence, self.is_resting, self._done = fence or 0, False, None
        self.held_at, self.held_at_time = asked_at
        return fence is not None

    async def release(self) -> None:
        """Let the next process begin at once."""
        async with self.database.transaction() as session:
            await session.execute(text(_RELEASE), {"reader": self._reader, "fence": self._fence})

    async def read(self, limit: int = PAGE_ROWS) -> list[Delivery]:
        """The next rows in log order, at most `limit`; none when the reader is up to date. Renews the lease."""
        if await self.is_up_to_date():
            return []
        rows = await self._read(limit)
        self.is_resting = not rows
        return rows

    async def is_up_to_date(self) -> bool:
        """Whether another look would bring nothing, as far as can be told cheaply: nothing is written.

        False as well when the lease wants to be renewed, or was lost, or when the last look brought something.
        """
        if not self.is_resting or time.monotonic() > self.held_at + RENEW_SECONDS:
            return False
        return await self._finds_nothing()

    async def _finds_nothing(self) -> bool:
        async with self.database.transaction() as session:
            connection = await session.connection()
            return (await connection.exec_driver_sql(FINDS_NOTHING, (self._fence, self._reader))).scalar() is True

    async def renew(self) -> None:
        """Hold on to the lease. Raises LeaseLost when another process has taken over."""
        async with self.database.transaction() as session:
            await self._hold(session)

    async def _read(self, limit: int) -> list[Delivery]:
        async with self.database.transaction() as session:
            rows = await self._read_page(session, limit)
        self._done = None
        return [Delivery.of_row(row) for row in rows]

    async def _read_page(self, session: AsyncSession, limit: int) -> Sequence[RowMapping]:
        cursor = await self._hold(session, self._done)
        while True:
            window = cursor if cursor["window_to"] is not None else await self._open_window(session)
            if window is None:
                return []
            asked = {**window, **self._topics, "limit": limit}
            rows = (await session.execute(self._page, asked)).mappings().all()
            if rows:
                return rows
            # The window was read to its end; the next one may be there already.
            await session.execute(text(_CLOSE_WINDOW), {"reader": self._reader})
            cursor = await self._hold(session)

    def mark_done(self, log_id: int) -> None:
        """Everything up to this row of the page is done for good; the cursor moves with the next read, or `settle`."""
        self._done = log_id

    async def settle(self) -> None:
        """Move the cursor past what is acknowledged, and read nothing. Raises LeaseLost."""
        if self._done is not None:
            async with self.database.transaction() as session:
                await self._hold(session, self._done)
            self._done = None

    async def advance(self, log_id: int) -> None:
        """Everything up to this row of the page is done for good, and the cursor says so. Raises LeaseLost."""
        self.mark_done(log_id)
        await self.settle()

    async def _hold(self, session: AsyncSession, done: int | None = None) -> dict[str, Any]:
        """Renew the lease, and move the cursor past what is done in its window."""
        query = {"reader": self._reader, "fence": self._fence, "seconds": LEASE_SECONDS, "done": done}
        asked_at = clocks()
        row = (await session.execute(text(_HOLD), query)).mappings().one_or_none()
        if row is None:
            raise LeaseLost(self._reader)
        self.held_at, self.held_at_time = asked_at
        return dict(row)

    async def _open_window(self, session: AsyncSession) -> dict[str, Any] | None:
        row = (await session.execute(text(_OPEN_WINDOW), {"reader": self._reader})).mappings().one_or_none()
        return dict(row) if row is not None else None


#: A process that is stopped in the middle of a transaction has locked the cursor: the server ends it for the successor.
LET_GO = f"set_config('idle_in_transaction_session_timeout', '{LEASE_SECONDS // 2}s', true)"
#: For the transactions of a reader. Nobody waits for the disk: when the server dies, a cursor may have gone back a
#: little, and what was read is read again. And nothing is sorted, so that pages come from the primary key in its order:
#: a planner without statistics would rather read the whole window for each page, and sort it.
QUICKLY = f"{LET_GO}, set_config('synchronous_commit', 'off', true), set_config('enable_sort', 'off', true)"

_HOLDER = f"""
select (select lease_owner from outbox_cursor
         where reader = :reader and lease_owner <> :owner and lease_until >= clock_timestamp()), {LET_GO}"""  # noqa: S608 (a setting of our own)

_ACQUIRE = """
insert into outbox_cursor as c (reader, lease_owner, lease_until, fence)
values (:reader, :owner, clock_timestamp() + make_interval(secs => :seconds), 1)
on conflict (reader) do update
   set lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, fence = c.fence + 1
 where c.lease_owner is null or c.lease_owner in (excluded.lease_owner, :dead) or c.lease_until < clock_timestamp()
returning fence"""

_RELEASE = """
update outbox_cursor set lease_owner = null, lease_until = null where reader = :reader and fence = :fence"""

# The fence alone decides: a lease that ran out and was not taken by anybody is still ours to renew.
_HOLD = f"""
with quickly as materialized (select {QUICKLY})
update outbox_cursor set lease_until = clock_timestamp() + make_interval(secs => :seconds), updated_at = now(),
       last_id = coalesce(cast(:done as bigint), last_id)
  from quickly
 where reader = :reader and fence = :fence
returning window_from::text, window_to::text, last_id"""  # noqa: S608 (settings of our own)

_OPEN_WINDOW = """
with window_end as materialized (
        select outbox_window_end(c.window_from, pg_snapshot_xmin(pg_current_snapshot())) as xid
          from outbox_cursor c where c.reader = :reader),
     waiting as (select min(o.id) as first_id from outbox o, outbox_cursor c, window_end w
                  where c.reader = :reader and o.xid >= c.window_from and o.xid < w.xid)
update outbox_cursor c set window_to = e.xid, last_id = w.first_id - 1
  from waiting w, window_end e
 where c.reader = :reader and w.first_id is not null
returning c.window_from::text, c.window_to::text, c.last_id"""

#: Takes the fence and the reader, by place: the relay asks on a line of its own.
FINDS_NOTHING = """
select c.fence = %s and c.window_to is null and not exists (
           select from outbox o where o.xid >= c.window_from and o.xid < pg_snapshot_xmin(pg_current_snapshot()))
  from outbox_cursor c where c.reader = %s"""

_ROWS = """
select id, message_id, topic, key, schema_version, occurred_at, organization_id, payload,
       correlation_id, traceparent, actor
  from outbox
 where id > :last_id and xid >= cast(:window_from as xid8) and xid < cast(:window_to as xid8)"""
_PAGE = f"{_ROWS} order by id limit :limit"
_PAGE_OF_TOPICS = f"{_ROWS} and topic = any(cast(:topics as text[])) order by id limit :limit"

_CLOSE_WINDOW = """
update outbox_cursor set window_from = window_to, window_to = null, last_id = 0 where reader = :reader"""
