"""Copies that processes share through Redis: what one has read, the others need not read again.

Redis keeps a generation for each event, and every copy says of which one it is. A change takes the generation away
(see infra/redis/commit_notifications.py), the next reader draws another, and so nothing that was read before the
change is ever found again, in whatever order reading, changing and keeping come. Redis may be gone or empty: then the
database is read.
"""

import asyncio
import zlib
from typing import NamedTuple
from uuid import UUID, uuid4

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ticketing.infra import log
from ticketing.infra.redis.commit_notifications import Nudge, copies_key
from ticketing.modules.realtime.response_cache.responses import Packed

#: A copy lives for a second; a generation only has to outlive the readings that have noted it.
GENERATION_SECONDS = 60
#: The database is nearer than a Redis that takes longer than this.
ASK_SECONDS_MAX = 0.1
#: After a failure, Redis is left alone for so long.
REST_SECONDS = 1.0
_GENERATION_BYTES, _TAG_BYTES = 16, 32

_log = log.get_logger(__name__)


class Found(NamedTuple):
    """The generation to keep a copy under, and the copy that is there with the seconds for which it is good."""

    generation: bytes
    packed: Packed | None = None
    seconds: float = 0.0

    @property
    def body(self) -> bytes:
        return zlib.decompress(self.packed.gzipped, wbits=31) if self.packed else b""


class SharedCopies:
    """Asks Redis, and goes without it."""

    def __init__(self, redis: Redis, nudge: Nudge | None) -> None:
        self._redis, self._nudge = redis, nudge
        self._rests_until = 0.0

    async def find(self, event_id: UUID) -> Found | None:
        """What Redis has of an event; None when it can't be asked, or hasn't heard yet of a change of ours."""
        is_resting = asyncio.get_running_loop().time() < self._rests_until
        if is_resting or (self._nudge is not None and self._nudge.is_telling(event_id)):
            return None
        generation_key = copies_key(event_id)
        try:
            async with asyncio.timeout(ASK_SECONDS_MAX), self._redis.pipeline(transaction=True) as pipe:
                pipe.set(generation_key, uuid4().bytes, nx=True, ex=GENERATION_SECONDS)
                pipe.mget(generation_key, _map_key(event_id))
                pipe.pttl(_map_key(event_id))
                _, (generation, value), milliseconds = await pipe.execute()
        except (RedisError, OSError) as error:
            self._rest(error)
            return None
        if value is None or value[:_GENERATION_BYTES] != generation:
            return Found(generation)
        return Found(generation, _unpack(value), milliseconds / 1000)

    async def keep(self, event_id: UUID, generation: bytes, packed: Packed, seconds: float) -> None:
        """Let others have what was read after this generation was noted."""
        milliseconds = int(seconds * 1000)
        if milliseconds <= 0:
            return
        value = generation + packed.tag.encode() + packed.gzipped
        try:
            async with asyncio.timeout(ASK_SECONDS_MAX):
                await self._redis.set(_map_key(event_id), value, px=milliseconds)
        except (RedisError, OSError) as error:
            self._rest(error)

    def _rest(self, error: Exception) -> None:
        _log.debug("copies_not_shared", error=type(error).__name__)
        self._rests_until = asyncio.get_running_loop().time() + REST_SECONDS


def _map_key(event_id: UUID) -> str:
    return f"{copies_key(event_id)}:availability"


def _unpack(value: bytes) -> Packed:
    head = _GENERATION_BYTES + _TAG_BYTES
    return Packed(value[_GENERATION_BYTES:head].decode(), value[head:])
