"""One per API process: it looks for those who wait for news of their tenant, once for all of them.

However many wait and however many nudges come, the database is asked a few times a second, and only while somebody
waits. Nobody who waits holds a connection.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import text

from ticketing.infra import log
from ticketing.infra.db import Database
from ticketing.infra.redis.commit_notifications import Wake
from ticketing.infra.retry import log_outage, run_until_stopped
from ticketing.infra.system.sleep import pause

#: Who would be one more is answered at once, and may ask again.
WAITING_MAX = 200
WAITING_OF_TENANT_MAX = 5
#: Between two looks, however many nudges come.
LOOK_SECONDS = 0.25
#: A nudge may be lost, and a fact may have to wait for an older transaction to end.
POLL_SECONDS = 1.0

_log = log.get_logger(__name__)


@dataclass(eq=False, slots=True)
class Seat:
    """Somebody who waits: whose news, since where in the log, and what wakes them."""

    organization_id: UUID
    since: str = "0"
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Lookout:
    """Those who wait in this process."""

    def __init__(self, database: Database, wake: Wake, closing: asyncio.Event) -> None:
        self._database, self._wake = database, wake
        self._nudged = wake.register()
        self._seats: set[Seat] = set()
        self._taken: Counter[UUID] = Counter()
        self._somebody = asyncio.Event()
        #: Set when the process is asked to stop: nobody waits any longer.
        self.closing = closing

    @property
    def waiting(self) -> int:
        return len(self._seats)

    @contextmanager
    def seat(self, organization_id: UUID) -> Iterator[Seat | None]:
        """A place to wait for as long as the block lasts; None when all are taken, or the process is to stop."""
        is_full = len(self._seats) >= WAITING_MAX or self._taken[organization_id] >= WAITING_OF_TENANT_MAX
        if is_full or self.closing.is_set():
            yield None
            return
        seat = Seat(organization_id)
        self._seats.add(seat)
        self._taken[organization_id] += 1
        self._somebody.set()
        try:
            yield seat
        finally:
            self._leave(seat)

    def _leave(self, seat: Seat) -> None:
        self._seats.discard(seat)
        self._taken[seat.organization_id] -= 1
        if not self._taken[seat.organization_id]:
            del self._taken[seat.organization_id]
        if not self._seats:
            self._somebody.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look out for as long as the block lasts."""
        async with self._wake.listening():
            on_error = log_outage(_log, "news_not_looked_for")
            looking = asyncio.create_task(run_until_stopped(self._wait_and_look, on_error))
            try:
                yield
            finally:
                self.closing.set()
                looking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await looking

    async def _wait_and_look(self) -> None:
        await self._somebody.wait()
        await pause(POLL_SECONDS, self._nudged)
        self._nudged.clear()  # before the look: a nudge that comes during it is not lost
        await self._look()
        await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        since: dict[UUID, int] = {}
        for seat in self._seats:
            since[seat.organization_id] = min(int(seat.since), since.get(seat.organization_id, int(seat.since)))
        if not since:
            return
        asked = {"ids": [*since], "since": [str(xid) for xid in since.values()]}
        async with self._database.transaction() as session:
            found = set(await session.scalars(_NEWS, asked))
        for seat in self._seats:
            if seat.organization_id in found:
                seat.news.set()


_NEWS = text("select organizations_with_news(cast(:ids as uuid[]), cast(:since as text[]))")
