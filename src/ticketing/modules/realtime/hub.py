"""The hub of an API process: it receives all frames on one Redis connection, for the channels that have viewers.

Redis is a hint. While it is unreachable, versions are read from Postgres once per second and viewers get snapshots.
While it is reachable, they are read every CHECK_SECONDS, because a frame may have been lost.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID
from weakref import WeakValueDictionary

import anyio
import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from ticketing.infra import log
from ticketing.infra.app_state import AppState
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, tenancy
from ticketing.infra.errors import Overloaded
from ticketing.infra.redis import commit_notifications, messages
from ticketing.infra.system.retry import OUTAGES, log_every_error, run_periodically, run_until_stopped
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.channel import Channel, Frame
from ticketing.modules.realtime.frames import CHANNEL
from ticketing.modules.realtime.queries import Availability, Position
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.loaders import FACTS, Loaders, PageRenderers
from ticketing.modules.realtime.streams_by_address import StreamsByAddress

#: A stream costs about 50 KiB; more of them need another process.
STREAMS_MAX = 10_000
#: Pool of the connections that load cached responses.
LOADER_CONNECTIONS = 2
POLL_SECONDS = 1.0
#: Interval of the check for lost frames while Redis is reachable.
CHECK_SECONDS = 5.0
COMPARE_SECONDS_MAX = 3.0
#: A channel outlives its last viewer by this time, so that a viewer that reconnects finds the missed frames.
LINGER_SECONDS = 30.0

_log = log.get_logger(__name__)


class Hub:
    """The channels of this process, and the tasks that feed them."""

    def __init__(self, redis: Redis, database: Database, settings: Settings, cache: ResponseCache) -> None:
        self._redis, self._database, self._cache = redis, database, cache
        self._frames_per_second = settings.stream_frames_per_second
        self.stream_seconds_max = settings.stream_seconds_max
        self.addresses = StreamsByAddress(settings.streams_per_address_max)
        self._channels: dict[UUID, Channel] = {}
        self._idle_since: dict[UUID, float] = {}
        self._lookups: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._polled: dict[UUID, Position] = {}
        self._checked_at = 0.0
        #: True while frames arrive through Redis; False while Postgres is polled.
        self.is_live = False
        self.is_closing = False
        #: Set once, at the server's shutdown (see stream.py).
        self.closing = anyio.Event()

    @property
    def streams(self) -> int:
        return sum(channel.viewers for channel in self._channels.values())

    @property
    def channels(self) -> int:
        return len(self._channels)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen and poll until the block ends."""
        loops = [
            asyncio.create_task(run_until_stopped(self._listen, self._on_listen_error)),
            asyncio.create_task(run_periodically(POLL_SECONDS, self._poll, log_every_error(_log, "polling_failed"))),
            asyncio.create_task(self._watch_shutdown()),
        ]
        try:
            yield
        finally:
            self.close()
            # A library that is cleaning up or responding can swallow a cancellation, so it is repeated.
            while not all(loop.done() for loop in loops):
                for loop in loops:
                    loop.cancel()
                await asyncio.wait(loops, timeout=0.5)
            for channel in self._channels.values():
                channel.close()

    def close(self) -> None:
        """End every stream, and refuse new ones."""
        self.is_closing = True
        for channel in self._channels.values():
            channel.wake_all()

    def open(self, organization_id: UUID, event_id: UUID) -> Channel:
        """The channel of an event, which collects frames from now on: open it before taking a snapshot.

        Raises:
            Overloaded: this process has STREAMS_MAX streams, or is shutting down.
        """
        if self.is_closing or self.streams >= STREAMS_MAX:
            raise Overloaded
        channel = self.find(event_id)
        if channel is None:
            load = partial(self._load, organization_id, event_id)
            channel = self._channels[event_id] = Channel(organization_id, load, self._frames_per_second)
        self._idle_since.pop(event_id, None)
        return channel

    def find(self, event_id: UUID) -> Channel | None:
        """The channel of an event with current or recent viewers."""
        return self._channels.get(event_id)

    def lookup(self, event_id: UUID) -> asyncio.Lock:
        """A lock for the look-up of an event: a thousand viewers after a restart cause one query, not a thousand."""
        return self._lookups.setdefault(event_id, asyncio.Lock())

    async def _load(self, organization_id: UUID, event_id: UUID) -> Availability:
        async with self._database.transaction() as session:
            await tenancy.show(session, [organization_id])
            return await queries.get_availability(session, organization_id, event_id)

    async def _watch_shutdown(self) -> None:
        await self.closing.wait()
        self.close()

    async def _listen(self) -> None:
        """Receive frames until the connection fails. `_receive` compares versions first: earlier frames are missing."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe(f"{CHANNEL}*")
            await pubsub.subscribe(commit_notifications.CHANNEL)
            await self._receive(pubsub)

    def _on_listen_error(self, error: Exception) -> None:
        if not isinstance(error, (RedisError, OSError)):
            _log.error("listening_failed", exc_info=error)
        elif self.is_live:
            _log.warning("frames_not_heard", error=type(error).__name__)
        self.is_live = False
        self._cache.set_subscribed(False)

    async def _receive(self, pubsub: PubSub) -> None:
        async for message in messages(pubsub):
            if message["type"] == "psubscribe":
                self.is_live = True
                await self._compare_versions(is_patient=False)
            elif message["type"] == "pmessage":
                self._take(message["channel"], message["data"])
            elif message["type"] == "subscribe":
                self._cache.set_subscribed(True)
            elif message["type"] == "message":
                self._invalidate_changed(message["data"])

    def _invalidate_changed(self, data: bytes) -> None:
        try:
            news = commit_notifications.decode(data)
        except ValueError as error:
            _log.error("nudge_unreadable", error=type(error).__name__)
            return
        # Changes of this process were invalidated at their commit; the entries may have been loaded again since.
        if self._database.notifier is None or news.sender != self._database.notifier.sender:
            self._cache.invalidate(news.subject_ids, news.topics)

    def _take(self, name: bytes, data: bytes) -> None:
        try:
            event_id = UUID(name.decode().removeprefix(CHANNEL))
            self._cache.invalidate([event_id])
            channel = self._channels.get(event_id)
            if channel is None:
                return
            body = orjson.loads(data)
            changes = [(number, letter) for number, letter in body.get("changes", ())]
            version = body["version"]
            frame = None if body.get("resync") else Frame(version, changes, body.get("areas", {}))
            channel.take(body["epoch"], frame, version)
        except (ValueError, KeyError, TypeError) as error:
            _log.error("frame_unreadable", channel=repr(name), error=type(error).__name__)

    async def _poll(self) -> None:
        now = asyncio.get_running_loop().time()
        self._close_idle(now)
        if not self.is_live or now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            await self._compare_versions(is_patient=self.is_live)

    def _close_idle(self, now: float) -> None:
        for event_id, channel in list(self._channels.items()):
            if channel.viewers:
                self._idle_since.pop(event_id, None)
            elif now - self._idle_since.setdefault(event_id, now) >= LINGER_SECONDS:
                channel.close()
                for known in (self._channels, self._idle_since, self._polled):
                    known.pop(event_id, None)

    async def _compare_versions(self, *, is_patient: bool) -> None:
        """Advance channels that are behind Postgres. A patient check gives a missing frame until the next check."""
        if not self._channels:
            return
        try:
            async with asyncio.timeout(COMPARE_SECONDS_MAX), self._database.transaction() as session:
                await tenancy.show(session, {channel.organization_id for channel in self._channels.values()})
                found = await queries.versions(session, self._channels)
        except OUTAGES as error:
            _log.warning("versions_not_read", error=type(error).__name__)
            return
        for event_id, actual in found.items():
            channel, earlier = self._channels.get(event_id), self._polled.get(event_id)
            if channel is None or channel.position is None:
                continue
            self._polled[event_id] = actual
            if is_patient and earlier is not None and _is_behind(channel.position, earlier):
                _log.warning("frame_was_lost", event_id=str(event_id))
                channel.jump(actual)
            elif not is_patient and _is_behind(channel.position, actual):
                channel.jump(actual)


def _is_behind(known: Position, actual: Position) -> bool:
    return known.epoch != actual.epoch or known.version < actual.version


@asynccontextmanager
async def running(state: AppState, pages: PageRenderers) -> AsyncIterator[None]:
    """Provide `Hub`, `ResponseCache` and `Loaders` in `state` and run them until the block ends.

    Uses the `Settings`, `Database` and `Redis` that `state` has.
    """
    settings, database, redis = state.get(Settings), state.get(Database), state.get(Redis)
    # A pool of its own: one load serves every viewer, and must not queue behind the requests of buyers.
    loading = Database(settings.model_copy(update={"database_pool_size": LOADER_CONNECTIONS}))
    loaders = Loaders(loading, pages)
    cache = ResponseCache(loaders.by_route(), FACTS)
    database.on_changed.append(cache.invalidate)
    hub = Hub(redis, database, settings, cache)
    state.provide(loaders, cache, hub)
    async with hub.running():
        yield
    await cache.close()
    await loading.close()
