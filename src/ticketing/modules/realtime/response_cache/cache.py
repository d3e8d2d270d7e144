"""In-memory responses about events that change constantly; no response is older than its request.

An entry is valid until it is invalidated, which every commit that publishes a message about its event does: in this
process at once, in other processes when they receive the notification. Responses are therefore cached only while this
process is subscribed to the notifications, and only if they were loaded while it was. Because a notification can be
lost, no response is valid for longer than TTL_SECONDS.

While an event changes thousands of times per second, no response is ever cached. Requests without a valid entry wait
for a load that begins after they arrived, and share it. A load is followed by a pause of four times its duration, so
the cost is bounded, whatever the rates of changes and requests.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any
from uuid import UUID

from ticketing.infra import log
from ticketing.infra.errors import TicketingError, Unavailable
from ticketing.infra.system.retry import OUTAGES
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.response_cache.responses import CachedResponse

#: The longest time for which a change is not visible if its notification is lost.
TTL_SECONDS = 1.0
#: The pause after a load, as a multiple of its duration, and its upper bound.
PAUSE_FACTOR = 4
PAUSE_SECONDS_MAX = 1.0
LOAD_SECONDS_MAX = 3.0
#: Entries of 50 kB for a hall and 300 kB for an arena. The oldest is evicted first.
ENTRIES_MAX = 384

ROOT = "/api/v1/events/"

#: Loads a response about an event.
Load = Callable[[UUID], Awaitable[CachedResponse]]

_log = log.get_logger(__name__)


class NotCacheable(Exception):
    """There is nothing to cache; the ordinary route responds."""


class CacheEntry:
    """The response to one path, and the load that replaces it."""

    def __init__(self, cache: "ResponseCache", event_id: UUID, resource: str) -> None:
        self._cache, self._event_id = cache, event_id
        self._load = cache.loaders[resource]
        self._response: CachedResponse | None = None
        #: Incremented on invalidation; a load that began under an older generation is not cached.
        self._generation = 0
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[CachedResponse] | None = None
        self._paused_until = 0.0
        self._name = resource or "event"
        self._hits = metrics.CACHE_RESPONSES.labels(self._name, "memory")

    def valid(self) -> CachedResponse | None:
        """The response, if it is valid."""
        response = self._response
        return response if response is not None and asyncio.get_running_loop().time() < response.expires_at else None

    def invalidate(self) -> None:
        """Discard the response, and the result of a load in progress for requests that arrive from now on."""
        self._response = None
        self._generation += 1

    async def get(self) -> CachedResponse:
        """A response that is no older than this call.

        Raises:
            NotCacheable, TicketingError, TimeoutError, and errors of the database.
        """
        if (response := self.valid()) is not None:
            self._hits.inc()
            return response
        if self._next is None:
            self._next = self._cache.start(self._wait_and_load())
        # A request that is cancelled must not cancel the load for the others.
        response = await asyncio.shield(self._next)
        metrics.CACHE_RESPONSES.labels(self._name, "database").inc()
        return response

    async def _wait_and_load(self) -> CachedResponse:
        async with self._lock:
            if (response := self.valid()) is None:
                await asyncio.sleep(self._paused_until - asyncio.get_running_loop().time())
            # Requests that arrive from here on may have to see changes that this load will miss: they get the next one.
            self._next = None
            return response or await self._load_and_cache()

    async def _load_and_cache(self) -> CachedResponse:
        clock = asyncio.get_running_loop().time
        began, generation = clock(), self._generation
        try:
            async with asyncio.timeout(LOAD_SECONDS_MAX):
                response = await self._load(self._event_id)
        finally:
            self._paused_until = clock() + min(PAUSE_SECONDS_MAX, PAUSE_FACTOR * (clock() - began))
        # After an invalidation during the load, the response is valid for the requests before it, and is not cached.
        if generation == self._generation and self._cache.is_subscribed:
            self._response = response
        return response


class ResponseCache:
    """The entries of this process, by the path of the request."""

    def __init__(self, loaders: Mapping[str, Load]) -> None:
        self.loaders = loaders
        #: True while this process receives notifications of changes by other processes.
        self.is_subscribed = False
        self._entries: dict[str, CacheEntry] = {}
        self._tasks: set[asyncio.Task[CachedResponse]] = set()

    def add(self, path: str) -> None:
        """Start to cache responses to this path, of an event that is public, and therefore stays public."""
        event_id, _, resource = path.removeprefix(ROOT).partition("/")
        if path in self._entries or resource not in self.loaders or not _is_canonical(event_id):
            return
        while len(self._entries) >= ENTRIES_MAX:
            del self._entries[next(iter(self._entries))]
        self._entries[path] = CacheEntry(self, UUID(event_id), resource)

    async def get(self, path: str) -> CachedResponse | None:
        """A response that is no older than this call; None when the path is not cached.

        Raises:
            Unavailable: the database is unreachable or too slow.
        """
        entry = self._entries.get(path)
        if entry is None:
            return None
        try:
            return await entry.get()
        except (NotCacheable, TicketingError):
            self._entries.pop(path, None)
            return None
        except OUTAGES as error:
            _log.warning("copy_not_read", error=type(error).__name__)
            raise Unavailable from None

    def invalidate(self, event_ids: Collection[UUID]) -> None:
        """Discard the responses about these events, which have changed."""
        for event_id in event_ids:
            for resource in self.loaders:
                if (entry := self._entries.get(path_of(event_id, resource))) is not None:
                    entry.invalidate()

    def set_subscribed(self, is_subscribed: bool) -> None:
        """Record whether notifications arrive. Invalidates every entry: notifications may have been missed."""
        self.is_subscribed = is_subscribed
        for entry in self._entries.values():
            entry.invalidate()

    def start(self, load: Coroutine[Any, Any, CachedResponse]) -> asyncio.Task[CachedResponse]:
        task = asyncio.get_running_loop().create_task(load)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[CachedResponse]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as retrieved: waiting requests get it too, and without any it may be lost

    async def close(self) -> None:
        """Cancel the loads in progress."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def path_of(event_id: UUID, resource: str) -> str:
    """The path of a resource of an event; of the event itself if `resource` is empty."""
    return f"{ROOT}{event_id}/{resource}" if resource else f"{ROOT}{event_id}"


def _is_canonical(event_id: str) -> bool:
    try:
        return str(UUID(event_id)) == event_id
    except ValueError:
        return False
