"""Polls for sessions that other processes have ended, and for the database's time, about once per second.

During an outage of Postgres, known revocations stay known. Sessions cannot be ended meanwhile, and a token that was
revoked just before gives access to nothing, because all data is in Postgres. After an outage, as at the start, the
first query covers the whole lifetime of an access token.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import func, select

from ticketing.infra import log
from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX
from ticketing.infra.db import Database
from ticketing.infra.security.revoked_sessions import RevokedSessions, revoked_sessions
from ticketing.infra.system import database_clock
from ticketing.infra.system.retry import OUTAGES, log_outage, run_periodically
from ticketing.modules.iam.models import LogInSession

POLL_SECONDS = 1.0
#: How far back each query reaches: a row has the start time of its transaction, and is visible after the commit.
OVERLAP_SECONDS = 60

_NOW = select(func.extract("epoch", func.clock_timestamp()))
_log = log.get_logger(__name__)


@asynccontextmanager
async def watch_revocations(database: Database) -> AsyncIterator[None]:
    """Keep `revoked_sessions` current while the block runs. The first query is done before it starts."""
    watcher, stop = RevocationWatcher(database, revoked_sessions), asyncio.Event()
    await watcher.poll()
    task = asyncio.create_task(watcher.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


class RevocationWatcher:
    """Reads ended sessions into a set, with one indexed query per poll."""

    def __init__(self, database: Database, revoked: RevokedSessions) -> None:
        self._database, self._revoked = database, revoked
        self._is_behind = True

    async def run(self, stop: asyncio.Event) -> None:
        await run_periodically(POLL_SECONDS, self.poll, log_outage(_log, "ended_sessions_unknown"), stop)

    async def poll(self) -> None:
        """Add recently ended sessions. An outage is logged and compensated by the next poll."""
        seconds = ACCESS_TOKEN_SECONDS_MAX if self._is_behind else OVERLAP_SECONDS
        recently = LogInSession.revoked_at > func.now() - timedelta(seconds=seconds)
        try:
            async with self._database.transaction() as session:
                self._revoked.add(await session.scalars(select(LogInSession.id).where(recently)))
                asked_at = time.monotonic()
                database_clock.measure(float(await session.scalar(_NOW) or 0), asked_at)
        except OUTAGES as error:
            if not self._is_behind:
                _log.warning("ended_sessions_unknown", error=type(error).__name__)
            self._is_behind = True
        else:
            self._is_behind = False
