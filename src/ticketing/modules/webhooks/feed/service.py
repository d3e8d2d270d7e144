"""The change feed: the messages of a tenant from the log, page by page, from the client's cursor on."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from starlette.requests import Request

from ticketing.infra import app_state
from ticketing.infra.db import Database, tenancy
from ticketing.infra.errors import Invalid, TicketingError
from ticketing.infra.http.pagination import write_cursor
from ticketing.infra.system.sleep import pause
from ticketing.modules.webhooks import tenant_log
from ticketing.modules.webhooks.feed.long_poll import LongPoll, Waiter
from ticketing.modules.webhooks.tenant_log import LogPage, Position

#: The longest transaction: a message that commits after a cursor was issued may have occurred this much earlier.
TRANSACTION_MAX = timedelta(minutes=1)
XID_MAX = 2**64


class CursorExpired(TicketingError):
    """The messages after this cursor are no longer kept; start without a cursor, and skip the ids that you have."""

    status, code = 410, "cursor_expired"


class Feed:
    """One request to the feed: its position, and the types that it selects."""

    def __init__(self, organization_id: UUID, after: list[object] | None, types: list[str], limit: int) -> None:
        """Raises Invalid, naming the cursor, if it is malformed or from another list."""
        self._organization_id, self._types, self._limit = organization_id, types, limit
        self._position = Position()
        self._at: datetime | None = None
        if after is not None:
            self._position, self._at = _parse(after)

    async def read(self, database: Database) -> LogPage:
        """Read the next page in a separate transaction: a request that waits for another page holds no connection.

        Raises:
            CursorExpired: the messages after the cursor are no longer kept, or the cursor is ahead of the log because
                the database was restored to an earlier state.
        """
        async with database.transaction() as session:
            await tenancy.enter(session, self._organization_id)
            if self._at is not None:
                horizon, oldest = await tenant_log.get_horizon(session), await tenant_log.get_oldest(session)
                if self._at < oldest or int(self._position.window_to or self._position.window_from) > int(horizon):
                    raise CursorExpired
            found = await tenant_log.read_page(session, self._organization_id, self._position, self._types, self._limit)
        self._position, self._at = found.position, found.at - TRANSACTION_MAX
        return found

    async def wait(self, request: Request, long_poll: LongPoll, seconds: float) -> LogPage:
        """Read the next page as soon as it has a message, or an empty one after `seconds`.

        Also returns when the client disconnects or the process shuts down. Raises CursorExpired.
        """
        database = app_state.of(request.app).get(Database)
        until = time.monotonic() + seconds
        with long_poll.waiter(self._organization_id) as waiter:
            gone = asyncio.ensure_future(_wait_for_disconnect(request))
            try:
                while True:
                    page = await self.read(database)
                    if page.rows or waiter is None or not await self._wait(waiter, long_poll, gone, until):
                        return page
            finally:
                gone.cancel()

    async def _wait(self, waiter: Waiter, long_poll: LongPoll, gone: "asyncio.Future[None]", until: float) -> bool:
        """Wait for a message; False on a timeout, a disconnect or a shutdown."""
        waiter.since = self._position.window_from
        left = until - time.monotonic()
        if left > 0 and not gone.done():
            waiting = asyncio.ensure_future(pause(left, waiter.has_messages, long_poll.closing))
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        reads_again = waiter.has_messages.is_set() and not long_poll.closing.is_set() and not gone.done()
        waiter.has_messages.clear()
        return reads_again

    @property
    def cursor(self) -> str:
        """The cursor of the next page."""
        at = self._at or datetime.now(UTC)
        position = self._position
        return write_cursor([position.window_from, position.window_to or "", position.last_id, int(at.timestamp())])


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _parse(after: list[object]) -> tuple[Position, datetime]:
    match after:
        case [str(begin), str(end), int(last_id), int(at)] if _is_xid(begin) and (not end or _is_xid(end)):
            if last_id >= 0 and 0 <= at < 2**33:
                return Position(begin, end or None, last_id), datetime.fromtimestamp(at, UTC)
    raise Invalid("Use a cursor that an earlier page gave.", field="cursor")


def _is_xid(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20 and int(text) < XID_MAX
