"""Load responses for the cache, each in its own transaction, which sees public data only."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import Database
from ticketing.infra.http.caching.representations import Representations, represent, represent_gzipped
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import events, organizations
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.queries import Availability
from ticketing.modules.realtime.response_cache import cache, targets
from ticketing.modules.realtime.response_cache.cache import CachedResponse, Load
from ticketing.modules.realtime.response_cache.targets import CachedRoute, Target

#: Places and counts do not show when the next hold lapses, so they are cached for a shorter time.
COUNTS_TTL_SECONDS = 0.25
#: Searches that are loaded or wait for their load. They are loaded one by one, because they are endless, and must not
#: occupy the loaders' connections; more of them take the ordinary route, whose requests are limited.
SEARCHES_MAX = 16

#: Topics of the messages about anything but the seats of a public event.
FACTS = frozenset(
    message.topic
    for message in (
        events.EventUpdated,
        events.EventPublished,
        events.EventCancelled,
        events.EventCompleted,
        events.TicketTypeCreated,
        events.SeatsSynced,
        events.SeatsBlocked,
        events.SeatsUnblocked,
        organizations.OrganizationUpdated,
    )
)


#: A payload of the REST API.
Payload = Mapping[str, Any]


class PageRenderers(NamedTuple):
    """The HTML of the pages: of the start page from its events and the words of a search, and of an event."""

    home: Callable[[Sequence[Payload], str], Representations]
    event: Callable[[Payload], Representations]


class Loaders:
    """Loads responses."""

    def __init__(self, database: Database, pages: PageRenderers) -> None:
        self.database, self._pages = database, pages
        self._searches = 0
        self._search = asyncio.Lock()

    def by_route(self) -> Mapping[CachedRoute, Load]:
        """The loader of each cached route."""
        return {
            targets.EVENT: self._event,
            targets.AVAILABILITY: self._availability,
            targets.SEATS: self._seats,
            targets.SEATMAP: self._seatmap,
            targets.LIST: self._list,
            targets.HOME: self._home,
            targets.EVENT_PAGE: self._event_page,
        }

    async def _availability(self, target: Target) -> CachedResponse:
        """The current map. Raises NotFound."""
        # Taken before the transaction begins, whose clock decides when a hold lapses: entries expire early, never late.
        began = _now()
        async with self.database.transaction() as session:
            event = await _find_event(session, target)
            map_ = await queries.get_availability(session, event.organization_id, event.id)
        rendered = await asyncio.to_thread(render_map, map_)
        return CachedResponse(rendered, began + ttl_of(map_), event.organization_id)

    async def _event(self, target: Target) -> CachedResponse:
        """The event with its availability. Raises NotFound."""
        began = _now()
        async with self.database.transaction() as session:
            event = await _find_event(session, target)
            body = await events.render_event(session, event)
        until = began + min(COUNTS_TTL_SECONDS, cache.TTL_SECONDS)
        return CachedResponse(represent(body), until, event.organization_id)

    async def _seats(self, target: Target) -> CachedResponse:
        """The first page of seats. Raises NotFound."""
        began = _now()
        async with self.database.transaction() as session:
            event = await _find_event(session, target)
            body, lapses_in = await events.render_seats(session, event, PageQuery(limit=targets.LIMIT))
        ttl = cache.TTL_SECONDS if lapses_in is None else min(lapses_in, cache.TTL_SECONDS)
        return CachedResponse(represent(body), began + ttl, event.organization_id)

    async def _seatmap(self, target: Target) -> CachedResponse:
        """The layout of the event's current plan. Raises NotFound, and NotCacheable if it has none."""
        began = _now()
        async with self.database.transaction() as session:
            event = await _find_event(session, target)
            layout = await events.get_layout(session, event)
        if layout is None:
            raise cache.NotCacheable
        rendered = represent_gzipped(layout.etag, layout.gzipped, events.PUBLIC_LAYOUT)
        return CachedResponse(rendered, began + cache.TTL_SECONDS, event.organization_id)

    async def _list(self, target: Target) -> CachedResponse:
        """The first page of a search. Raises NotCacheable if too many searches wait."""
        began = _now()
        async with self._in_turn(target), self.database.transaction() as session:
            body = await events.render_list(session, target.wanted, PageQuery(limit=target.limit))
        return CachedResponse(await asyncio.to_thread(represent, body), began + cache.TTL_SECONDS)

    async def _home(self, target: Target) -> CachedResponse:
        """The start page, with all events or those of a search. Raises NotCacheable if too many searches wait."""
        began = _now()
        async with self._in_turn(target), self.database.transaction() as session:
            upcoming = [
                event.model_dump(mode="json") for event in await events.describe_upcoming(session, target.words)
            ]
        rendered = await asyncio.to_thread(self._pages.home, upcoming, target.words)
        return CachedResponse(rendered, began + cache.TTL_SECONDS)

    async def _event_page(self, target: Target) -> CachedResponse:
        """The page of an event. Raises NotCacheable for an event that the public does not see."""
        began = _now()
        async with self.database.transaction() as session:
            event = await events.find_published(session, str(target.event_id))
        if event is None:
            raise cache.NotCacheable
        rendered = self._pages.event(event.model_dump(mode="json"))
        return CachedResponse(rendered, began + cache.TTL_SECONDS, event.organization.id)

    @asynccontextmanager
    async def _in_turn(self, target: Target) -> AsyncIterator[None]:
        if not target.is_search:
            yield
            return
        if self._searches >= SEARCHES_MAX:
            raise cache.NotCacheable
        self._searches += 1
        try:
            async with self._search:
                yield
        finally:
            self._searches -= 1


def ttl_of(map_: Availability) -> float:
    """Seconds for which a map is valid: until the first of its holds lapses, at most TTL_SECONDS."""
    places = COUNTS_TTL_SECONDS if any(area["available"] < area["capacity"] for area in map_.areas.values()) else None
    limits = (cache.TTL_SECONDS, map_.lapses_in_seconds, places)
    return min(seconds for seconds in limits if seconds is not None)


def render_map(map_: Availability) -> Representations:
    """Render the response of a map, without models: they would take longer for a large map than the database."""
    data = map_.as_payload()
    return represent(orjson.dumps({"success": True, "message": "OK", "data": data, "meta": None}))


async def _find_event(session: AsyncSession, target: Target) -> events.Event:
    assert target.event_id is not None  # the target of a route about an event
    return await events.get_public_event(session, target.event_id, None)


def _now() -> float:
    return asyncio.get_running_loop().time()
