"""In-memory responses that change constantly; none of them is older than its request.

An entry is valid until it is invalidated, which every commit does that publishes a message about what it shows: in this
process at once, in other processes when they receive the notification. Responses are therefore cached only while this
process is subscribed to the notifications, and only if they were loaded while it was. Because a notification can be
lost, no response is valid for longer than TTL_SECONDS.

While an event changes thousands of times per second, no response about its seats is ever cached. Requests without a
valid entry wait for a load that begins after they arrived, and share it. A load is followed by a pause of four times
its duration, so the cost is bounded, whatever the rates of changes and requests.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.infra import log
from ticketing.infra.errors import TicketingError, Unavailable
from ticketing.infra.http.caching.representations import Representations
from ticketing.infra.system.retry import OUTAGES
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.response_cache.targets import CachedRoute, Target

#: The longest time for which a change is not visible if its notification is lost.
TTL_SECONDS = 1.0
#: The pause after a load, as a multiple of its duration, and its upper bound.
PAUSE_FACTOR = 4
PAUSE_SECONDS_MAX = 1.0
LOAD_SECONDS_MAX = 3.0
#: Bounds of the memory: entries, and bytes of their bodies, 10 kB for a page and 300 kB for the maps of an arena. The
#: least recently used entry is evicted first.
ENTRIES_MAX = 2_000
BYTES_MAX = 128 * 1024 * 1024

_log = log.get_logger(__name__)


class CachedResponse(NamedTuple):
    """A response, until when it is valid, and whose data it shows."""

    representations: Representations
    #: In the event loop's time.
    expires_at: float
    #: None for a list.
    organization_id: UUID | None = None


#: Loads a response.
Load = Callable[[Target], Awaitable[CachedResponse]]


class NotCacheable(Exception):
    """There is nothing to cache; the ordinary route responds."""


class CacheEntry:
    """The response to one target, and the load that replaces it."""

    def __init__(self, cache: "ResponseCache", target: Target) -> None:
        self.target = target
        self._cache, self._load = cache, cache.loaders[target.route]
        self._response: CachedResponse | None = None
        #: Whose data it shows; unknown before the first load.
        self._organization_id: UUID | None = None
        #: Incremented on invalidation; a load that began under an older generation is not cached.
        self._generation = 0
        self._lock = asyncio.Lock()
        self._next: asyncio.Task[CachedResponse] | None = None
        self._paused_until = 0.0
        self._hits = metrics.CACHE_RESPONSES.labels(target.route.name, "memory")

    @property
    def size(self) -> int:
        """The bytes of its bodies, valid or not."""
        return 0 if self._response is None else self._response.representations.size

    def valid(self) -> CachedResponse | None:
        """The response, if it is valid."""
        response = self._response
        return response if response is not None and asyncio.get_running_loop().time() < response.expires_at else None

    def invalidate(self) -> None:
        """Discard the response, and the result of a load in progress for requests that arrive from now on."""
        self._keep(None)
        self._generation += 1

    def shows(self, subject_ids: Collection[UUID]) -> bool:
        """Whether it may show one of these events and organizations. A list may show any."""
        event_id, organization_id = self.target.event_id, self._organization_id
        return organization_id is None or event_id in subject_ids or organization_id in subject_ids

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
        metrics.CACHE_RESPONSES.labels(self.target.route.name, "database").inc()
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
                response = await self._load(self.target)
        finally:
            self._paused_until = clock() + min(PAUSE_SECONDS_MAX, PAUSE_FACTOR * (clock() - began))
        # After an invalidation during the load, the response is valid for the requests before it, and is not cached.
        if generation == self._generation and self._cache.is_subscribed:
            self._organization_id = response.organization_id
            self._keep(response)
        return response

    def _keep(self, response: CachedResponse | None) -> None:
        before, self._response = self.size, response
        self._cache.resize(self, self.size - before)


class ResponseCache:
    """The entries of this process, by the key of their target."""

    def __init__(self, loaders: Mapping[CachedRoute, Load], facts: Collection[str] = ()) -> None:
        """`facts`: topics of the messages that change responses which do not follow seats."""
        self.loaders = loaders
        self._facts = frozenset(facts)
        #: True while this process receives notifications of changes by other processes.
        self.is_subscribed = False
        #: The most recently used one last.
        self._entries: OrderedDict[str, CacheEntry] = OrderedDict()
        #: The bytes of all entries.
        self.size = 0
        #: The entries that follow the seats of an event.
        self._seats: defaultdict[UUID | None, list[CacheEntry]] = defaultdict(list)
        #: Requests that the ordinary route is serving, and that would make an entry.
        self._first: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[CachedResponse]] = set()

    def add(self, target: Target) -> None:
        """Start to cache the response to this target, which is public, and therefore stays public."""
        if target.key in self._entries:
            return
        entry = self._entries[target.key] = CacheEntry(self, target)
        if target.route.follows_seats:
            self._seats[target.event_id].append(entry)
        self._evict()

    async def get(self, key: str) -> CachedResponse | None:
        """A response that is no older than this call; None when there is no entry.

        Raises:
            Unavailable: the database is unreachable or too slow.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        try:
            return await entry.get()
        except (NotCacheable, TicketingError):
            self._remove(entry)
            return None
        except OUTAGES as error:
            _log.warning("copy_not_read", error=type(error).__name__)
            if entry.target.route.has_fallback:
                return None
            raise Unavailable from None

    @contextmanager
    def first_request(self, key: str) -> Iterator[Callable[[], None]]:
        """The ordinary route serves a request in the block. Yields a function that ends the wait of others early."""
        if key in self._first:
            yield _nothing
            return
        served = self._first[key] = asyncio.Event()
        try:
            yield served.set
        finally:
            served.set()
            del self._first[key]

    async def wait_for_first_request(self, key: str) -> bool:
        """Wait for the request that the ordinary route is serving. False if there is none, or it takes too long."""
        if (served := self._first.get(key)) is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(LOAD_SECONDS_MAX):
                await served.wait()
        return served.is_set()

    def invalidate(self, subject_ids: Collection[UUID], topics: Collection[str] = ()) -> None:
        """Discard the responses about what has changed: these subjects, by messages of these topics."""
        for event_id in subject_ids:
            for entry in self._seats.get(event_id, ()):
                entry.invalidate()
        if not self._facts.isdisjoint(topics):
            for entry in self._entries.values():
                if entry.shows(subject_ids):
                    entry.invalidate()

    def set_subscribed(self, is_subscribed: bool) -> None:
        """Record whether notifications arrive. Invalidates every entry: notifications may have been missed."""
        self.is_subscribed = is_subscribed
        for entry in self._entries.values():
            entry.invalidate()

    def resize(self, entry: CacheEntry, change: int) -> None:
        """Account for an entry that has grown by `change` bytes. An entry that was evicted during its load has none."""
        if self._entries.get(entry.target.key) is entry:
            self.size += change
            self._evict()

    def _evict(self) -> None:
        while len(self._entries) > ENTRIES_MAX or self.size > BYTES_MAX:
            self._remove(next(iter(self._entries.values())))

    def _remove(self, entry: CacheEntry) -> None:
        if self._entries.get(entry.target.key) is not entry:
            return
        del self._entries[entry.target.key]
        self.size -= entry.size
        if entry.target.route.follows_seats:
            siblings = self._seats[entry.target.event_id]
            siblings.remove(entry)
            if not siblings:
                del self._seats[entry.target.event_id]

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


def _nothing() -> None:
    pass
