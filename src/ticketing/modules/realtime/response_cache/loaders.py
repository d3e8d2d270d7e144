"""How events and their maps are read for their copies: availability from Redis or Postgres, the rest from Postgres."""

import asyncio
from uuid import UUID

import orjson

from ticketing.infra.db import Database
from ticketing.infra.http.envelope import envelope
from ticketing.modules import events
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.queries import Availability
from ticketing.modules.realtime.response_cache import cache as copies
from ticketing.modules.realtime.response_cache.redis_cache import Found, SharedCopies
from ticketing.modules.realtime.response_cache.responses import Copy, Packed, copy_of_event, copy_of_layout, copy_of_map

#: When the next hold runs out is not to be seen from places and counts; so they are looked at more often.
COUNTS_LIFE_SECONDS = 0.25


class Readings:
    """Reads for the shelves; every reading is a transaction of its own, and sees what everybody may see."""

    def __init__(self, database: Database, shared: SharedCopies) -> None:
        self.database, self._shared = database, shared

    async def availability(self, event_id: UUID, may_share: bool) -> Copy:
        """The map of this moment, or another process's copy of it that is still good. Raises NotFound."""
        asked_at = _now()
        found = await self._shared.find(event_id) if may_share else None
        if found is not None and found.packed is not None:
            return copy_of_map(found.packed, found.body, asked_at + found.seconds, "redis")
        return await self._read_map(event_id, found)

    async def _read_map(self, event_id: UUID, found: Found | None) -> Copy:
        # Taken before the transaction begins, by whose clock the next hold runs out: a copy ends early, never late.
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            map_ = await queries.get_availability(session, event.organization_id, event_id)
        good_until = began + good_seconds(map_)
        packed, copy = await asyncio.to_thread(make_copy, map_, good_until)
        if found is not None:
            await self._shared.keep(event_id, found.generation, packed, good_until - _now())
        return copy

    async def event(self, event_id: UUID, _: bool) -> Copy:
        """The event itself, with what is left of it. Raises NotFound."""
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            body = envelope(await events.describe_event(session, event)).model_dump_json().encode()
        return copy_of_event(body, began + min(COUNTS_LIFE_SECONDS, copies.LIFE_SECONDS))

    async def seatmap(self, event_id: UUID, _: bool) -> Copy:
        """The layout of the plan that the event has now. Raises NotFound, and NoCopy when it has none."""
        began = _now()
        async with self.database.transaction() as session:
            event = await events.get_public_event(session, event_id, None)
            layout = await events.get_layout(session, event)
        if layout is None:
            raise copies.NoCopy
        return copy_of_layout(layout.etag, layout.gzipped, events.PUBLIC_LAYOUT, began + copies.LIFE_SECONDS)


def good_seconds(map_: Availability) -> float:
    """How long a map may be shown: until the first of its holds runs out, and never longer than a copy lives."""
    places = COUNTS_LIFE_SECONDS if any(area["available"] < area["capacity"] for area in map_.areas.values()) else None
    ends = (copies.LIFE_SECONDS, map_.lapses_in_seconds, places)
    return min(seconds for seconds in ends if seconds is not None)


def make_copy(map_: Availability, good_until: float) -> tuple[Packed, Copy]:
    """An answer from a map. By hand: the models would take longer over a large map than the database does."""
    data = {"version": map_.position.version, "seats": map_.seats, "areas": map_.areas}
    body = orjson.dumps({"success": True, "message": "OK", "data": data, "meta": None})
    packed = Packed.of(body)
    return packed, copy_of_map(packed, body, good_until, "database")


def _now() -> float:
    return asyncio.get_running_loop().time()
