"""One per API process: it hears all frames on a single Redis connection and hands them to the channels being watched.

Redis is a hint. While it is away, versions are read from Postgres once a second and viewers get snapshots; while it is
there, they are read now and then, because a frame may have been lost on its way.
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
from ticketing.infra.retry import OUTAGES, log_every_error, run_periodically, run_until_stopped
from ticketing.modules.realtime import queries
from ticketing.modules.realtime.channel import Channel, Frame
from ticketing.modules.realtime.frames import CHANNEL
from ticketing.modules.realtime.queries import Availability, Position
from ticketing.modules.realtime.response_cache.cache import Copies
from ticketing.modules.realtime.response_cache.loaders import Readings
from ticketing.modules.realtime.response_cache.redis_cache import SharedCopies

#: A stream costs about 50 KiB; what is above this goes to another process.
STREAMS_MAX = 10_000
#: For reading events and maps that are answered from memory.
READING_CONNECTIONS = 2
POLL_SECONDS = 1.0
#: While Redis works, this often is enough to notice a frame that was lost.
CHECK_SECONDS = 5.0
COMPARE_SECONDS_MAX = 3.0
#: A channel outlives its last viewer by this much, so that one who reconnects finds the frames of the meantime.
LINGER_SECONDS = 30.0

_log = log.get_logger(__name__)


class Hub:
    """The channels of this process, and what feeds them."""

    def __init__(self, redis: Redis, database: Database, settings: Settings, copies: Copies) -> None:
        self._redis, self._database, self._copies = redis, database, copies
        self._frames_per_second = settings.stream_frames_per_second
        self.stream_seconds_max = settings.stream_seconds_max
        self._channels: dict[UUID, Channel] = {}
        self._idle_since: dict[UUID, float] = {}
        self._lookups: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        self._polled: dict[UUID, Position] = {}
        self._checked_at = 0.0
        #: True while frames arrive by Redis; False while we poll.
        self.is_live = False
        self.is_closing = False
        #: The server's shutdown sets it (see stream.py); set once, for ever.
        self.closing = anyio.Event()

    @property
    def streams(self) -> int:
        return sum(channel.viewers for channel in self._channels.values())

    @property
    def channels(self) -> int:
        return len(self._channels)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen and poll for as long as the block lasts."""
        loops = [
            asyncio.create_task(run_until_stopped(self._listen, self._on_listen_error)),
            asyncio.create_task(run_periodically(POLL_SECONDS, self._poll, log_every_error(_log, "polling_failed"))),
            asyncio.create_task(self._watch_shutdown()),
        ]
        try:
            yield
        finally:
            self.close()
            # A cancellation can get lost in a library that is cleaning up or answering just then, so it is repeated.
            while not all(loop.done() for loop in loops):
                for loop in loops:
                    loop.cancel()
                await asyncio.wait(loops, timeout=0.5)
            for channel in self._channels.values():
                channel.close()

    def close(self) -> None:
        """Every stream says good-bye and ends; no new one begins."""
        self.is_closing = True
        for channel in self._channels.values():
            channel.wake_all()

    def open(self, organization_id: UUID, event_id: UUID) -> Channel:
        """The channel of an event, which gathers frames from now on: subscribe first, then take a snapshot.

        Raises:
            Overloaded: this process has as many streams as it can bear, or is about to stop.
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
        """The channel of an event that is, or was a moment ago, being watched."""
        return self._channels.get(event_id)

    def lookup(self, event_id: UUID) -> asyncio.Lock:
        """Held while an event is looked up: a thousand viewers after a restart cause one look-up, not a thousand."""
        return self._lookups.setdefault(event_id, asyncio.Lock())

    async def _load(self, organization_id: UUID, event_id: UUID) -> Availability:
        async with self._database.transaction() as session:
            await tenancy.show(session, [organization_id])
            return await queries.get_availability(session, organization_id, event_id)

    async def _watch_shutdown(self) -> None:
        await self.closing.wait()
        self.close()

    async def _listen(self) -> None:
        """Receive frames until the connection fails. `_hear` compares versions first: earlier frames are missing."""
        async with self._redis.pubsub() as pubsub:
            await pubsub.psubscribe(f"{CHANNEL}*")
            await pubsub.subscribe(commit_notifications.CHANNEL)
            await self._hear(pubsub)

    def _on_listen_error(self, error: Exception) -> None:
        if not isinstance(error, (RedisError, OSError)):
            _log.error("listening_failed", exc_info=error)
        elif self.is_live:
            _log.warning("frames_not_heard", error=type(error).__name__)
        self.is_live = False
        self._copies.hear(False)

    async def _hear(self, pubsub: PubSub) -> None:
        async for message in messages(pubsub):
            if message["type"] == "psubscribe":
                self.is_live = True
                await self._compare_versions(is_patient=False)
            elif message["type"] == "pmessage":
                self._take(message["channel"], message["data"])
            elif message["type"] == "subscribe":
                self._copies.hear(True)
            elif message["type"] == "message":
                self._forget_changed(message["data"])

    def _forget_changed(self, data: bytes) -> None:
        try:
            news = commit_notifications.read(data)
        except ValueError as error:
            _log.error("nudge_unreadable", error=type(error).__name__)
            return
        # Our own changes were forgotten when they were made, and since then they may have been read.
        if self._database.nudge is None or news.sender != self._database.nudge.sender:
            self._copies.forget(news.subject_ids)

    def _take(self, name: bytes, data: bytes) -> None:
        try:
            event_id = UUID(name.decode().removeprefix(CHANNEL))
            self._copies.forget([event_id])
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
        self._forget_idle(now)
        if not self.is_live or now - self._checked_at >= CHECK_SECONDS:
            self._checked_at = now
            await self._compare_versions(is_patient=self.is_live)

    def _forget_idle(self, now: float) -> None:
        for event_id, channel in list(self._channels.items()):
            if channel.viewers:
                self._idle_since.pop(event_id, None)
            elif now - self._idle_since.setdefault(event_id, now) >= LINGER_SECONDS:
                channel.close()
                for known in (self._channels, self._idle_since, self._polled):
                    known.pop(event_id, None)

    async def _compare_versions(self, *, is_patient: bool) -> None:
        """Move channels on that are behind Postgres; a patient look leaves a frame on its way until the next look."""
        if not self._channels:
            return
        try:
            async with asyncio.timeout(COMPARE_SECONDS_MAX), self._database.transaction() as session:
                await tenancy.show(session, {channel.organization_id for channel in self._channels.values()})
                found = await queries.versions(session, self._channels)
        except OUTAGES as error:
            _log.warning("versions_not_read", error=type(error).__name__)
            return
        for event_id, true in found.items():
            channel, earlier = self._channels.get(event_id), self._polled.get(event_id)
            if channel is None or channel.position is None:
                continue
            self._polled[event_id] = true
            if is_patient and earlier is not None and _is_behind(channel.position, earlier):
                _log.warning("frame_was_lost", event_id=str(event_id))
                channel.jump(true)
            elif not is_patient and _is_behind(channel.position, true):
                channel.jump(true)


def _is_behind(known: Position, true: Position) -> bool:
    return known.epoch != true.epoch or known.version < true.version


@asynccontextmanager
async def running(state: AppState) -> AsyncIterator[None]:
    """Provide `Hub`, `Copies` and `Readings` in `state` and run them until the block ends.

    Uses the `Settings`, `Database` and `Redis` that `state` has.
    """
    settings, database, redis = state.get(Settings), state.get(Database), state.get(Redis)
    # A pool of its own: one load serves every viewer, and must not queue behind the requests of buyers.
    loading = Database(settings.model_copy(update={"database_pool_size": READING_CONNECTIONS}))
    readings = Readings(loading, SharedCopies(redis, database.nudge))
    copies = Copies({"": readings.event, "availability": readings.availability, "seatmap": readings.seatmap})
    database.on_changed.append(copies.forget)
    hub = Hub(redis, database, settings, copies)
    state.provide(readings, copies, hub)
    async with hub.running():
        yield
    await copies.close()
    await loading.close()
