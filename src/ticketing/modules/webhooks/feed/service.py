"""The change feed: a tenant's facts from the log, page by page, from wherever its cursor stands."""

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
from ticketing.modules.webhooks.feed.long_poll import Lookout, Seat
from ticketing.modules.webhooks.tenant_log import Position, Reading

#: A cursor is good for facts of transactions that were under way when it was given; none lasts longer than this.
TRANSACTION_MAX = timedelta(minutes=1)
XID_MAX = 2**64


class CursorExpired(TicketingError):
    """This cursor stands where the log is no longer kept; begin again without one, and compare with what you have."""

    status, code = 410, "cursor_expired"


class Feed:
    """One client's reading: where it stands, and what it wants."""

    def __init__(self, organization_id: UUID, after: list[object] | None, types: list[str], limit: int) -> None:
        """Raises Invalid, naming the cursor, when it is another list's."""
        self._organization_id, self._types, self._limit = organization_id, types, limit
        self._position = Position()
        self._at: datetime | None = None
        if after is not None:
            self._position, self._at = _parse(after)

    async def read(self, database: Database) -> Reading:
        """The next page, from a transaction of its own: who waits between two has no connection in hand.

        Raises:
            CursorExpired: what follows the cursor is no longer kept, or never was: the database is an older one.
        """
        async with database.transaction() as session:
            await tenancy.enter(session, self._organization_id)
            if self._at is not None:
                horizon, oldest = await tenant_log.get_horizon(session), await tenant_log.get_oldest(session)
                if self._at < oldest or int(self._position.window_to or self._position.window_from) > int(horizon):
                    raise CursorExpired
            found = await tenant_log.read(session, self._organization_id, self._position, self._types, self._limit)
        self._position, self._at = found.position, found.at - TRANSACTION_MAX
        return found

    async def wait(self, request: Request, lookout: Lookout, seconds: float) -> Reading:
        """The next page as soon as there is something on it, or what there is when the time is up.

        The client's leaving and the process' end are ends too. Raises CursorExpired.
        """
        database = app_state.of(request.app).get(Database)
        until = time.monotonic() + seconds
        with lookout.seat(self._organization_id) as seat:
            gone = asyncio.ensure_future(_until_gone(request))
            try:
                while True:
                    page = await self.read(database)
                    if page.rows or seat is None or not await self._has_news(seat, lookout, gone, until):
                        return page
            finally:
                gone.cancel()

    async def _has_news(self, seat: Seat, lookout: Lookout, gone: "asyncio.Future[None]", until: float) -> bool:
        seat.since = self._position.window_from
        left = until - time.monotonic()
        if left > 0 and not gone.done():
            waiting = asyncio.ensure_future(pause(left, seat.news, lookout.closing))
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        is_news = seat.news.is_set() and not lookout.closing.is_set() and not gone.done()
        seat.news.clear()
        return is_news

    @property
    def cursor(self) -> str:
        """Where the next page begins."""
        at = self._at or datetime.now(UTC)
        position = self._position
        return write_cursor([position.window_from, position.window_to or "", position.last_id, int(at.timestamp())])


async def _until_gone(request: Request) -> None:
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
