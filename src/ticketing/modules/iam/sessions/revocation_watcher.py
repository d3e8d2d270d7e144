"""Every API process learns within about a second which log-ins the others have ended.

When Postgres is away, what is known stays known: no ended log-in comes back to life. None can be ended then either, and
whoever holds a token of one that was ended just before gets nothing: what there is to read or to change is in Postgres.
After an outage, as at the start, the whole life of an access token is read again before anything else is.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from sqlalchemy import func, select

from ticketing.infra import log
from ticketing.infra.config import ACCESS_TOKEN_SECONDS_MAX
from ticketing.infra.db import Database
from ticketing.infra.retry import OUTAGES, log_outage, run_periodically
from ticketing.infra.security.revoked_sessions import EndedSessions, ended_sessions
from ticketing.modules.iam.models import LogInSession

POLL_SECONDS = 1.0
#: How far back each look goes: a row carries the time at which its transaction began, and shows when that commits.
OVERLAP_SECONDS = 60

_log = log.get_logger(__name__)


@asynccontextmanager
async def watching(database: Database) -> AsyncIterator[None]:
    """Know the log-ins that end, for as long as the block lasts; a first look has been taken when it begins."""
    watch, stop = EndedWatch(database, ended_sessions), asyncio.Event()
    await watch.look()
    task = asyncio.create_task(watch.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


class EndedWatch:
    """Reads what has ended into a set; one indexed query a look."""

    def __init__(self, database: Database, ended: EndedSessions) -> None:
        self._database, self._ended = database, ended
        self._is_behind = True

    async def run(self, stop: asyncio.Event) -> None:
        await run_periodically(POLL_SECONDS, self.look, log_outage(_log, "ended_sessions_unknown"), stop)

    async def look(self) -> None:
        """Take in what has ended lately; an outage is noted, and made up for later."""
        seconds = ACCESS_TOKEN_SECONDS_MAX if self._is_behind else OVERLAP_SECONDS
        lately = LogInSession.revoked_at > func.now() - timedelta(seconds=seconds)
        try:
            async with self._database.transaction() as session:
                self._ended.add(await session.scalars(select(LogInSession.id).where(lately)))
        except OUTAGES as error:
            if not self._is_behind:
                _log.warning("ended_sessions_unknown", error=type(error).__name__)
            self._is_behind = True
        else:
            self._is_behind = False
