"""Responses that processes share through Redis, so that one load serves all processes.

Redis has a random generation per event, and every stored response carries the generation it was loaded under. A change
deletes the generation (see infra/redis/commit_notifications.py) and the next reader creates a new one, so a response
that was loaded before the change is never returned after it, in whatever order loads, changes and stores happen. If
Redis is unreachable or empty, the response is loaded from the database.
"""

import asyncio
import zlib
from typing import NamedTuple
from uuid import UUID, uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ticketing.infra import log
from ticketing.infra.redis.commit_notifications import CommitNotifier, cache_generation_key
from ticketing.modules.realtime.response_cache.responses import GzippedBody

#: A response is valid for one second; a generation only has to outlive the loads that began under it.
GENERATION_SECONDS = 60
#: Timeout: beyond it, the database is faster.
TIMEOUT_SECONDS = 0.1
#: Pause after a failure.
PAUSE_SECONDS = 1.0
_GENERATION_BYTES, _TAG_BYTES = 16, 32

_log = log.get_logger(__name__)


class RedisEntry(NamedTuple):
    """The current generation, and the response stored under it, if any, with its remaining seconds."""

    generation: bytes
    gzipped_body: GzippedBody | None = None
    seconds: float = 0.0

    @property
    def body(self) -> bytes:
        return zlib.decompress(self.gzipped_body.gzipped, wbits=31) if self.gzipped_body else b""


class RedisCache:
    """A cache that behaves as empty while Redis is unreachable."""

    def __init__(self, redis: Redis, notifier: CommitNotifier | None) -> None:
        self._redis, self._notifier = redis, notifier
        self._paused_until = 0.0

    async def find(self, event_id: UUID) -> RedisEntry | None:
        """The event's entry; None if Redis is unreachable, or not yet notified of a change by this process."""
        is_paused = asyncio.get_running_loop().time() < self._paused_until
        if is_paused or (self._notifier is not None and self._notifier.is_pending(event_id)):
            return None
        generation_key = cache_generation_key(event_id)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._redis.pipeline(transaction=True) as pipe:
                pipe.set(generation_key, uuid4().bytes, nx=True, ex=GENERATION_SECONDS)
                pipe.mget(generation_key, _map_key(event_id))
                pipe.pttl(_map_key(event_id))
                _, (generation, value), milliseconds = await pipe.execute()
        except (RedisError, OSError) as error:
            self._pause(error)
            return None
        if value is None or value[:_GENERATION_BYTES] != generation:
            return RedisEntry(generation)
        return RedisEntry(generation, _unpack(value), milliseconds / 1000)

    async def store(self, event_id: UUID, generation: bytes, gzipped_body: GzippedBody, seconds: float) -> None:
        """Store a response that was loaded under this generation."""
        milliseconds = int(seconds * 1000)
        if milliseconds <= 0:
            return
        value = generation + gzipped_body.tag.encode() + gzipped_body.gzipped
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._redis.set(_map_key(event_id), value, px=milliseconds)
        except (RedisError, OSError) as error:
            self._pause(error)

    def _pause(self, error: Exception) -> None:
        _log.debug("copies_not_shared", error=type(error).__name__)
        self._paused_until = asyncio.get_running_loop().time() + PAUSE_SECONDS


def _map_key(event_id: UUID) -> str:
    return f"{cache_generation_key(event_id)}:availability"


def _unpack(value: bytes) -> GzippedBody:
    head = _GENERATION_BYTES + _TAG_BYTES
    return GzippedBody(value[_GENERATION_BYTES:head].decode(), value[head:])
