"""Load responses for the cache."""

import asyncio
from uuid import UUID

import orjson

from ticketing.infra.db import Database
from ticketing.infra.http.envelope import envelope
from ticketing.modules import events
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.queries import Availability
from ticketing.modules.realtime.response_cache import cache
from ticketing.modules.realtime.response_cache.responses import (
    CachedResponse,
    event_response,
    layout_response,
    map_response,
)

#: Places and counts do not show when the next hold lapses, so they are cached for a shorter time.
COUNTS_TTL_SECONDS = 0.25


class Loaders:
    """Loads responses, each in its own transaction, which sees public data only."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def availability(self, event_id: UUID) -> CachedResponse:
        """The current map. Raises NotFound."""
        # Taken before the transaction begins, whose clock decides when a hold lapses: entries expire early, never late.
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            map_ = await queries.get_availability(session, event.organization_id, event_id)
        return await asyncio.to_thread(render_map, map_, began + ttl_of(map_))

    async def event(self, event_id: UUID) -> CachedResponse:
        """The event with its availability. Raises NotFound."""
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            body = envelope(await events.describe_event(session, event)).model_dump_json().encode()
        return event_response(body, began + min(COUNTS_TTL_SECONDS, cache.TTL_SECONDS))

    async def seatmap(self, event_id: UUID) -> CachedResponse:
        """The layout of the event's current plan. Raises NotFound, and NotCacheable if it has none."""
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            layout = await events.get_layout(session, event)
        if layout is None:
            raise cache.NotCacheable
        return layout_response(layout.etag, layout.gzipped, events.PUBLIC_LAYOUT, began + cache.TTL_SECONDS)


def ttl_of(map_: Availability) -> float:
    """Seconds for which a map is valid: until the first of its holds lapses, at most TTL_SECONDS."""
    places = COUNTS_TTL_SECONDS if any(area["available"] < area["capacity"] for area in map_.areas.values()) else None
    limits = (cache.TTL_SECONDS, map_.lapses_in_seconds, places)
    return min(seconds for seconds in limits if seconds is not None)


def render_map(map_: Availability, expires_at: float) -> CachedResponse:
    """Render the response of a map, without models: they would take longer for a large map than the database."""
    data = {"version": map_.position.version, "seats": map_.seats, "areas": map_.areas}
    body = orjson.dumps({"success": True, "message": "OK", "data": data, "meta": None})
    return map_response(body, expires_at)


def _now() -> float:
    return asyncio.get_running_loop().time()
