"""A nudge after a commit wakes the outbox's readers at once. It may be lost at any time: readers poll as well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ticketing.infra import log

CHANNEL = "outbox"
#: Nudges closer together than this are one nudge: under load a reader is awake anyway.
QUIET_SECONDS = 0.01

_log = log.get_logger(__name__)


class Nudge:
    """Sends at most one message per QUIET_SECONDS, whatever the rate of commits, and never makes a request wait."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._sending: asyncio.Task[None] | None = None
        self._again = False

    def send(self) -> None:
        """Ask for a nudge; returns at once."""
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._publish())
        else:
            self._again = True

    async def close(self) -> None:
        """Let the last nudge go out: a task that outlives its connection's pool leaks the connection."""
        self._again = False
        if self._sending is not None:
            await self._sending

    async def _publish(self) -> None:
        while True:
            self._again = False
            try:
                await self._redis.publish(CHANNEL, b"")
            except RedisError as error:
                _log.debug("nudge_lost", error=type(error).__name__)
            await asyncio.sleep(QUIET_SECONDS)
            if not self._again:
                return


class Wake:
    """The reader's end: an event that is set by each nudge, for any number of readers in this process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: set[asyncio.Event] = set()

    def register(self) -> asyncio.Event:
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for as long as the block lasts."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            # A cancellation can get lost in a library that is reconnecting just then, so it is repeated.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)

    async def _listen(self) -> None:
        """Set the registered events at each nudge, for ever; without Redis the readers' polling goes on alone."""
        while True:
            try:
                async for _ in self._messages():
                    for event in self._waiting:
                        event.set()
            except (RedisError, OSError) as error:
                _log.warning("nudges_lost", error=type(error).__name__)
                await asyncio.sleep(1)

    async def _messages(self) -> AsyncIterator[object]:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            while True:
                if await pubsub.get_message(ignore_subscribe_messages=True, timeout=5.0):
                    yield None
