"""A notification after each commit wakes the readers of the outbox, and says which subjects have changed.

It may be lost at any time: readers poll as well, and cached responses are valid for one second at most.
"""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID, uuid4

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from ticketing.infra import log
from ticketing.infra.redis.client import messages
from ticketing.infra.system.outside_calls import free_context
from ticketing.infra.system.retry import log_outage, run_until_stopped
from ticketing.infra.system.sleep import pause

CHANNEL = "outbox"
#: Shortest time between two notifications of a process: under load, readers are awake anyway.
INTERVAL_SECONDS = 0.01
#: Without Redis, time between two attempts to send what is pending.
RETRY_SECONDS = 1.0
#: Most subjects that are kept pending while Redis is unavailable. Cached responses expire long before it is back.
PENDING_MAX = 10_000

_log = log.get_logger(__name__)


class CommitNotification(NamedTuple):
    """A commit notification: the process that sent it, the subjects that have changed, and the messages' topics."""

    sender: UUID
    subject_ids: list[UUID]
    topics: list[str]


class CommitNotifier:
    """Sends at most one notification per INTERVAL_SECONDS, whatever the rate of commits, and never blocks a request."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        #: Part of each notification, so that its own process can ignore it.
        self.sender = uuid4()
        self._sending: asyncio.Task[None] | None = None
        self._is_requested = False
        self._closing = asyncio.Event()
        self._pending: set[UUID] = set()
        self._topics: set[str] = set()

    def send(self, subject_ids: Collection[UUID] = (), topics: Collection[str] = ()) -> None:
        """Schedule a notification about these subjects for the readers of these topics; returns at once."""
        self._topics.update(topics)
        if len(self._pending) < PENDING_MAX:
            self._pending.update(subject_ids)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_pending(), context=free_context())
        else:
            self._is_requested = True

    async def close(self) -> None:
        """Send the last notification: a task that outlives its connection's pool leaks the connection."""
        self._closing.set()
        if self._sending is not None:
            await self._sending

    async def _send_pending(self) -> None:
        is_sent = True
        while not self._closing.is_set():
            self._is_requested = False
            is_sent = await self._send()
            await pause(INTERVAL_SECONDS if is_sent else RETRY_SECONDS, self._closing)
            if not (self._is_requested or self._pending or self._topics):
                return
        if is_sent and (self._pending or self._topics):
            await self._send()

    async def _send(self) -> bool:
        subject_ids, self._pending = self._pending, set()
        topics, self._topics = self._topics, set()
        notification = CommitNotification(self.sender, list(subject_ids), sorted(topics))
        try:
            await self._redis.publish(CHANNEL, encode(notification))
        except (RedisError, OSError) as error:
            _log.debug("nudge_lost", error=type(error).__name__)
            self._pending |= subject_ids
            self._topics |= topics
            return False
        return True


def encode(sent: CommitNotification) -> bytes:
    # The field keeps the name `event_ids`: processes of the previous release read it during a rolling update.
    return orjson.dumps({"sender": sent.sender, "event_ids": sent.subject_ids, "topics": sent.topics})


def decode(received: bytes) -> CommitNotification:
    """Decode a notification. Raises ValueError when it is malformed."""
    match orjson.loads(received):
        case {"sender": str(sender), "event_ids": list(subject_ids), "topics": list(topics)}:
            ids = [UUID(str(one)) for one in subject_ids]
            return CommitNotification(UUID(sender), ids, [str(topic) for topic in topics])
    raise ValueError("a commit notification has a sender, subjects and topics")


class CommitListener:
    """Receives notifications, and sets an event for each reader of this process that they concern."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[tuple[asyncio.Event, frozenset[str] | None]] = []

    def register(self, topics: Collection[str] | None = None) -> asyncio.Event:
        """Return the event of a reader of these topics; None: of all topics."""
        event = asyncio.Event()
        self._waiting.append((event, None if topics is None else frozenset(topics)))
        return event

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Receive notifications during the block."""
        task = asyncio.create_task(run_until_stopped(self._listen, log_outage(_log, "nudges_lost")))
        try:
            yield
        finally:
            # The Redis client may swallow a cancellation while it reconnects, so it is repeated.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)

    async def _listen(self) -> None:
        """Set the registered events at each notification until Redis fails; readers poll as well."""
        async for data in self._messages():
            self._notify(data)

    def _notify(self, data: bytes) -> None:
        try:
            topics = frozenset(decode(data).topics)
        except ValueError as error:
            _log.error("nudge_unreadable", error=type(error).__name__)
            return
        for event, wanted in self._waiting:
            if wanted is None or wanted & topics:
                event.set()

    async def _messages(self) -> AsyncIterator[bytes]:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            async for message in messages(pubsub):
                if message["type"] == "message":
                    yield message["data"]
