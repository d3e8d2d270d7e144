"""Reads the log page by page under a lease with a fencing token: one process at a time for each reader.

models.py says how windows keep the order. A page may be read ahead: the next one is read while the one before it is
still being processed, and the cursor stays behind what is acknowledged. One statement renews the lease, moves the
cursor past what is acknowledged and opens the next window; another one reads a page. Nothing is parsed here.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import psycopg

from ticketing.infra.db import Database, sqlalchemy_error
from ticketing.infra.db.pipeline import DriverConnection, driver_connection, pipelined, send
from ticketing.infra.outbox import lease_owner
from ticketing.infra.outbox.encoded_rows import ENCODE_ROW, ROW_SEPARATOR, EncodedRow, decode, id_of, split_page
from ticketing.infra.outbox.message import Delivery
from ticketing.infra.system.retry import OUTAGES, Retry

#: Lease duration: the longest failover delay after a crash. A process that ends gracefully releases its lease, and the
#: lease of one that was killed is taken over at once by a successor on the same machine (see lease_owner.py).
LEASE_SECONDS = 6
#: How often a process without the lease checks whether it can take it over.
STANDBY_SECONDS = 0.5
#: How often a reader renews its lease, idle or at work.
RENEW_SECONDS = LEASE_SECONDS / 3
PAGE_ROWS = 500


class LeaseLost(Exception):
    """Another process has taken the lease over; this one must stop what it was about to do."""


@dataclass(slots=True)
class _Progress:
    """How far a reader has come in its window, by the ids of rows."""

    read: int = 0
    acknowledged: int = 0
    #: The window has no row after `read`.
    at_end: bool = False

    @property
    def is_under_way(self) -> bool:
        return self.read > self.acknowledged

    @property
    def closes(self) -> bool:
        """The whole window is acknowledged."""
        return self.at_end and not self.is_under_way


class LogReader:
    """Reads the log for one reader.

    Every statement is a separate transaction. Those that move the cursor check the fencing token, so a process that
    was paused and resumes after its lease was taken over gets LeaseLost and can't move the cursor.

    After any other error the position is unknown: call `acquire` before reading on.
    """

    def __init__(
        self,
        database: Database,
        reader: str,
        owner: str,
        topics: Collection[str] | None = None,
        page_rows: int = PAGE_ROWS,
    ) -> None:
        """Pages contain the rows of `topics` only; None: of all topics."""
        self.database, self._reader, self._owner = database, reader, owner
        self._topics = None if topics is None else [*topics]
        #: The largest number of rows in a page. The caller may change it; `acquire` resets it.
        self.page_rows = self._initial_page_rows = page_rows
        self._fence = 0
        self._progress = _Progress()
        #: When the lease was last renewed: just before, on `time.monotonic`; and by the database's clock, which the
        #: servers share whatever this machine's wall clock shows. It is held for LEASE_SECONDS from then.
        self.held_at, self.held_at_time = -math.inf, -math.inf
        self._last_page_was_empty = False

    async def acquire(self) -> bool:
        """Take or renew the lease; False while another process holds it that may be alive.

        Rows that were read and not acknowledged are read again.
        """
        async with self._connection() as connection:
            # A process on standby checks often, and writes nothing until it can take over.
            row = await (await send(connection, _HOLDER, self._reader, self._owner)).fetchone()
            holder = row[0] if row is not None else None
            if holder is not None and not lease_owner.is_dead(holder):
                return False
            asked_at = time.monotonic()
            taken = await (
                await send(connection, _ACQUIRE, self._reader, self._owner, LEASE_SECONDS, holder)
            ).fetchone()
        self._fence, held_at_time = taken if taken is not None else (0, -math.inf)
        self._progress, self.page_rows, self._last_page_was_empty = _Progress(), self._initial_page_rows, False
        self.held_at, self.held_at_time = asked_at, held_at_time
        return taken is not None

    async def renew(self) -> None:
        """Renew the lease; may run at the same time as the other methods. Raises LeaseLost."""
        asked_at = time.monotonic()
        async with self._connection() as connection:
            renewed = await (await send(connection, _RENEW, LEASE_SECONDS, self._reader, self._fence)).fetchone()
        if renewed is None:
            raise LeaseLost(self._reader)
        self._hold_since(asked_at, renewed[0])

    async def keep_lease(self) -> None:
        """Renew the lease until this is cancelled, also throughout outages of the database. Raises LeaseLost."""
        while True:
            await asyncio.sleep(max(self.held_at + RENEW_SECONDS - time.monotonic(), RENEW_SECONDS / 8))
            # During an outage the lease may run out. It can be renewed all the same, unless it was taken over.
            with suppress(*OUTAGES):
                await self.renew()

    def check_lease(self) -> None:
        """Raises Retry unless the lease is certainly held now; `keep_lease` finds out whether it was lost."""
        if time.monotonic() >= self.held_at + LEASE_SECONDS:
            raise Retry("the lease on the log may have run out")

    async def release(self) -> None:
        """Give up the lease, so that the next process can take it at once."""
        async with self._connection() as connection:
            await send(connection, _RELEASE, self._reader, self._fence)

    async def read(self) -> list[Delivery]:
        """`read_page`, decoded."""
        return [decode(row) for row in await self.read_page()]

    async def read_page(self) -> list[EncodedRow]:
        """The rows after those read before, in log order, at most `page_rows`. Renews the lease.

        Empty when there is nothing new, or when the window was read to its end and not all of it is acknowledged.

        Raises:
            LeaseLost: another process has taken over.
        """
        progress = self._progress
        if (progress.at_end and progress.is_under_way) or (progress == _Progress() and await self.is_up_to_date()):
            return []
        page_rows = self.page_rows
        has_window, page = await self._move_and_read(page_rows)
        progress = self._progress
        if page:
            progress.read, progress.at_end = id_of(page[-1]), len(page) < page_rows
        elif has_window:
            # The rest of the window has no rows for this reader, or its last reader died before it could close it.
            progress.at_end = True
            return [] if progress.is_under_way else await self.read_page()
        self._last_page_was_empty = not page
        return page

    def acknowledge(self, log_id: int) -> None:
        """Everything up to this row is done; the cursor moves with the next `read_page` or `settle`."""
        self._progress.acknowledged = log_id

    async def advance(self, log_id: int) -> None:
        """Acknowledge everything up to this row, and move the cursor at once. Raises LeaseLost."""
        self.acknowledge(log_id)
        await self.settle()

    async def settle(self) -> None:
        """Move the cursor past what is acknowledged, and read nothing. Raises LeaseLost."""
        async with self._connection() as connection:
            await self._move(connection)

    async def is_up_to_date(self) -> bool:
        """A cheap check, which writes nothing, whether another read would bring nothing.

        Also False when the lease is due for renewal or was lost, or when the last read returned rows.
        """
        if not self._last_page_was_empty or time.monotonic() > self.held_at + RENEW_SECONDS:
            return False
        async with self._connection() as connection:
            return await (await send(connection, _IS_UP_TO_DATE, self._fence, self._reader)).fetchone() == (True,)

    async def _move_and_read(self, page_rows: int) -> tuple[bool, list[EncodedRow]]:
        me = (self._reader, self._fence)
        async with self._connection() as connection:
            if not await self._move(connection):
                return False, []
            # These statements lock nothing: a process that is stopped in the middle of them blocks no other process.
            start = self._progress.read if self._progress.is_under_way else 0
            query, topics = (_PAGE, []) if self._topics is None else (_PAGE_OF_TOPICS, [self._topics])
            async with pipelined(connection):
                await send(connection, _NO_SORT)
                page = await send(connection, query, start, *me, *me, *me, *topics, page_rows)
            ((printed,),) = await page.fetchall()
            return True, split_page(printed) if printed else []

    async def _move(self, connection: DriverConnection) -> bool:
        """Renew the lease and move the cursor; whether a window is open now. Raises LeaseLost."""
        progress, reader, asked_at = self._progress, self._reader, time.monotonic()
        moved = await send(
            connection, _MOVE, progress.closes, progress.acknowledged, reader, LEASE_SECONDS, reader, self._fence
        )
        cursor = await moved.fetchone()
        if cursor is None:
            raise LeaseLost(self._reader)
        if progress.closes:
            self._progress = _Progress()
        self._hold_since(asked_at, cursor[1])
        return bool(cursor[0])

    def _hold_since(self, held_at: float, held_at_time: float) -> None:
        # A concurrent renewal that began later may have ended before.
        if held_at > self.held_at:
            self.held_at, self.held_at_time = held_at, held_at_time

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[DriverConnection]:
        """A connection in autocommit mode, so that the cursor's lock never waits for this process to commit.

        A process that is stopped between a statement and its commit would keep the lock, and its successor waiting.
        """
        async with self.database.engine.connect() as pooled:
            await pooled.execution_options(isolation_level="AUTOCOMMIT")
            try:
                yield await driver_connection(pooled)
            except psycopg.OperationalError as error:
                await pooled.invalidate(error)
                raise sqlalchemy_error(pooled.dialect, error) from error


_HOLDER = """
select lease_owner from outbox_cursor where reader = %s and lease_owner <> %s and lease_until >= clock_timestamp()"""

_ACQUIRE = """
insert into outbox_cursor as c (reader, lease_owner, lease_until, fence)
values (%s, %s, clock_timestamp() + make_interval(secs => %s), 1)
on conflict (reader) do update
   set lease_owner = excluded.lease_owner, lease_until = excluded.lease_until, fence = c.fence + 1
 where c.lease_owner is null or c.lease_owner in (excluded.lease_owner, %s::text)
       or c.lease_until < clock_timestamp()
returning fence, extract(epoch from clock_timestamp())::float8"""

_RELEASE = "update outbox_cursor set lease_owner = null, lease_until = null where reader = %s and fence = %s"

#: For statements that move the cursor, which need not wait for the disk: if the server crashes, the cursor may go back
#: a little, and what was read is read again. Sorting is off, so that rows come from an index in its order: without
#: statistics the planner would read the whole window for each page, and sort it.
MOVE_SETTINGS = "set_config('synchronous_commit', 'off', true), set_config('enable_sort', 'off', true)"
_NO_SORT = "select set_config('enable_sort', 'off', true)"

# The fencing token alone decides: a lease that ran out and was not taken over can still be renewed.
_RENEW = f"""
with settings as materialized (select {MOVE_SETTINGS})
update outbox_cursor c set lease_until = clock_timestamp() + make_interval(secs => %s), updated_at = now()
  from settings
 where c.reader = %s and c.fence = %s
returning extract(epoch from clock_timestamp())::float8"""  # noqa: S608 (constants)

# The end of a window is computed only where a window is to be opened.
_MOVE = f"""
with input as materialized (select %s::boolean as closes, %s::bigint as done, {MOVE_SETTINGS}),
     starts as materialized (
        select case when input.closes then c.window_to else c.window_from end as window_from,
               input.closes or c.window_to is null as opens
          from outbox_cursor c, input where c.reader = %s),
     open as materialized (
        select window_from,
               outbox_window_end(window_from, log_position(pg_snapshot_xmin(pg_current_snapshot()))) as window_to
          from starts where opens),
     waiting as materialized (
        select min(o.id) as first_id from outbox o, open where o.xid >= open.window_from and o.xid < open.window_to)
update outbox_cursor c
   set window_from = starts.window_from,
       window_to = case when not opens then c.window_to when first_id is not null then open.window_to end,
       last_id = case when opens then coalesce(first_id - 1, 0) else greatest(c.last_id, done) end,
       lease_until = clock_timestamp() + make_interval(secs => %s), updated_at = now()
  from input, starts left join open on true, waiting
 where c.reader = %s and c.fence = %s
returning c.window_to is not null, extract(epoch from clock_timestamp())::float8"""  # noqa: S608 (constants)

_IS_UP_TO_DATE = """
select c.fence = %s and c.window_to is null and not exists (
           select from outbox o
            where o.xid >= c.window_from and o.xid < log_position(pg_snapshot_xmin(pg_current_snapshot())))
  from outbox_cursor c where c.reader = %s"""


def _page_query(condition: str) -> str:
    # The bounds are scalar subqueries, so that rows come in the order of the primary key; a null bound ends the scan at
    # once. The rows are aggregated in the order in which they come.
    return f"""
select string_agg({ENCODE_ROW}, E'{ROW_SEPARATOR}')
  from (select *
          from outbox
         where id > (select greatest(last_id, %s::bigint) from outbox_cursor
                      where reader = %s and fence = %s and window_to is not null)
           and xid >= (select window_from from outbox_cursor where reader = %s and fence = %s)
           and xid < (select window_to from outbox_cursor where reader = %s and fence = %s){condition}
         order by id limit %s) as page"""  # noqa: S608 (constants)


_PAGE = _page_query("")
_PAGE_OF_TOPICS = _page_query(" and topic = any(%s::text[])")
