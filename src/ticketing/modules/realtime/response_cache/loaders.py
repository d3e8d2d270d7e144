"""Load responses for the cache: availability from Redis or Postgres, the others from Postgres."""

import asyncio
from uuid import UUID

import orjson

from ticketing.infra.db import Database
from ticketing.infra.http.envelope import envelope
from ticketing.modules import events
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.queries import Availability
from ticketing.modules.realtime.response_cache import cache
from ticketing.modules.realtime.response_cache.redis_cache import RedisCache, RedisEntry
from ticketing.modules.realtime.response_cache.responses import (
    CachedResponse,
    GzippedBody,
    event_response,
    layout_response,
    map_response,
)

#: Places and counts do not show when the next hold lapses, so they are cached for a shorter time.
COUNTS_TTL_SECONDS = 0.25


class Loaders:
    """Loads responses, each in its own transaction, which sees public data only."""

    def __init__(self, database: Database, redis: RedisCache) -> None:
        self.database, self._redis = database, redis

    async def availability(self, event_id: UUID, may_use_redis: bool) -> CachedResponse:
        """The current map, or a valid response that another process left in Redis. Raises NotFound."""
        looked_up_at = _now()
        found = await self._redis.find(event_id) if may_use_redis else None
        if found is not None and found.gzipped_body is not None:
            return map_response(found.gzipped_body, found.body, looked_up_at + found.seconds, "redis")
        return await self._read_map(event_id, found)

    async def _read_map(self, event_id: UUID, found: RedisEntry | None) -> CachedResponse:
        # Taken before the transaction begins, whose clock decides when a hold lapses: entries expire early, never late.
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            map_ = await queries.get_availability(session, event.organization_id, event_id)
        expires_at = began + ttl_of(map_)
        gzipped_body, response = await asyncio.to_thread(render_map, map_, expires_at)
        if found is not None:
            await self._redis.store(event_id, found.generation, gzipped_body, expires_at - _now())
        return response

    async def event(self, event_id: UUID, _: bool) -> CachedResponse:
        """The event with its availability. Raises NotFound."""
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            body = envelope(await events.describe_event(session, event)).model_dump_json().encode()
        return event_response(body, began + min(COUNTS_TTL_SECONDS, cache.TTL_SECONDS))

    async def seatmap(self, event_id: UUID, _: bool) -> CachedResponse:
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


def render_map(map_: Availability, expires_at: float) -> tuple[GzippedBody, CachedResponse]:
    """Render the response of a map, without models: they would take longer for a large map than the database."""
    data = {"version": map_.position.version, "seats": map_.seats, "areas": map_.areas}
    body = orjson.dumps({"success": True, "message": "OK", "data": data, "meta": None})
    gzipped_body = GzippedBody.of(body)
    return gzipped_body, map_response(gzipped_body, body, expires_at, "database")


def _now() -> float:
    return asyncio.get_running_loop().time()
