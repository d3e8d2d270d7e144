"""Wakes the long-polling requests of an API process: one query serves all requests that wait for new messages.

The database is queried a few times a second, however many requests wait and however many commit notifications arrive,
and only while a request waits. A waiting request holds no connection.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from ticketing.infra import log
from ticketing.infra.db import Database, statements
from ticketing.infra.redis.commit_notifications import CommitListener
from ticketing.infra.system.retry import log_outage, run_until_stopped
from ticketing.infra.system.sleep import pause

#: Requests that may wait at once; further ones are answered immediately.
WAITERS_MAX = 200
WAITERS_PER_TENANT_MAX = 5
#: The shortest interval between two queries, however many notifications arrive.
QUERY_INTERVAL_SECONDS = 0.25
#: A notification may be lost, and a message may have to wait for an older transaction to end.
POLL_SECONDS = 1.0

_log = log.get_logger(__name__)

_WITH_MESSAGES = "select organizations_with_news(%s::uuid[], %s::text[])"


@dataclass(eq=False, slots=True)
class Waiter:
    """A waiting request: its tenant, its position in the log, and the event that wakes it."""

    organization_id: UUID
    #: Transaction id, as `Position.window_from`.
    since: str = "0"
    has_messages: asyncio.Event = field(default_factory=asyncio.Event)


class LongPoll:
    """The waiting requests of this process."""

    def __init__(self, database: Database, wake: CommitListener, closing: asyncio.Event) -> None:
        self._database, self._wake = database, wake
        self._notified = wake.register()
        self._waiters: set[Waiter] = set()
        self._count_by_tenant: Counter[UUID] = Counter()
        self._has_waiters = asyncio.Event()
        #: Set when the process shuts down: all waiting requests are answered.
        self.closing = closing

    @property
    def waiting(self) -> int:
        """The number of waiting requests."""
        return len(self._waiters)

    @contextmanager
    def waiter(self, organization_id: UUID) -> Iterator[Waiter | None]:
        """Register a waiter for the block; None if too many are waiting or the process shuts down."""
        is_full = len(self._waiters) >= WAITERS_MAX or self._count_by_tenant[organization_id] >= WAITERS_PER_TENANT_MAX
        if is_full or self.closing.is_set():
            yield None
            return
        waiter = Waiter(organization_id)
        self._waiters.add(waiter)
        self._count_by_tenant[organization_id] += 1
        self._has_waiters.set()
        try:
            yield waiter
        finally:
            self._remove(waiter)

    def _remove(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)
        self._count_by_tenant[waiter.organization_id] -= 1
        if not self._count_by_tenant[waiter.organization_id]:
            del self._count_by_tenant[waiter.organization_id]
        if not self._waiters:
            self._has_waiters.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """CommitListener waiters during the block."""
        async with self._wake.listening():
            on_error = log_outage(_log, "news_not_looked_for")
            polling = asyncio.create_task(run_until_stopped(self._wait_and_query, on_error))
            try:
                yield
            finally:
                self.closing.set()
                polling.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await polling

    async def _wait_and_query(self) -> None:
        await self._has_waiters.wait()
        await pause(POLL_SECONDS, self._notified)
        self._notified.clear()  # before the query: a notification that arrives during it is not lost
        await self._query()
        await asyncio.sleep(QUERY_INTERVAL_SECONDS)

    async def _query(self) -> None:
        since: dict[UUID, int] = {}
        for waiter in self._waiters:
            xid = int(waiter.since)
            since[waiter.organization_id] = min(xid, since.get(waiter.organization_id, xid))
        if not since:
            return
        async with self._database.transaction() as session:
            xids = [str(xid) for xid in since.values()]
            found = await statements.execute(session, _WITH_MESSAGES, [*since], xids)
            with_messages = {row[0] for row in await found.fetchall()}
        for waiter in self._waiters:
            if waiter.organization_id in with_messages:
                waiter.has_messages.set()
