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
from ticketing.infra.system.retry import log_outage, run_until_stopped
from ticketing.infra.system.sleep import pause

CHANNEL = "outbox"
#: Nudges closer together than this are one nudge: under load a reader is awake anyway.
QUIET_SECONDS = 0.01
#: Without Redis, what is still untold is tried again so often.
AGAIN_SECONDS = 1.0
#: More subjects than this are not remembered while Redis is away; their copies will be too old long before it is back.
UNTOLD_MAX = 10_000

_log = log.get_logger(__name__)


def copies_key(subject_id: UUID) -> str:
    """The key of the generation of a subject's cached responses: changes delete it, the next reader draws a new one."""
    return f"copies:{subject_id}"


class News(NamedTuple):
    """A commit notification: the process that sent it, the subjects that have changed, and the messages' topics."""

    sender: UUID
    subject_ids: list[UUID]
    topics: list[str]


class Nudge:
    """Sends at most one message per QUIET_SECONDS, whatever the rate of commits, and never makes a request wait."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        #: A part of each message, so that the process that sent it can leave it be.
        self.sender = uuid4()
        self._sending: asyncio.Task[None] | None = None
        self._again = False
        self._closing = asyncio.Event()
        self._untold: set[UUID] = set()
        self._topics: set[str] = set()
        self._on_its_way: frozenset[UUID] = frozenset()

    def send(self, subject_ids: Collection[UUID] = (), topics: Collection[str] = ()) -> None:
        """Schedule a notification about these subjects for the readers of these topics; returns at once."""
        self._topics.update(topics)
        if len(self._untold) < UNTOLD_MAX:
            self._untold.update(subject_ids)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._publish())
        else:
            self._again = True

    def is_telling(self, subject_id: UUID) -> bool:
        """True while Redis may not have heard yet of a change that this process has made."""
        return subject_id in self._untold or subject_id in self._on_its_way

    async def close(self) -> None:
        """Let the last nudge go out: a task that outlives its connection's pool leaks the connection."""
        self._closing.set()
        if self._sending is not None:
            await self._sending

    async def _publish(self) -> None:
        is_told = True
        while not self._closing.is_set():
            self._again = False
            is_told = await self._tell()
            await pause(QUIET_SECONDS if is_told else AGAIN_SECONDS, self._closing)
            if not (self._again or self._untold):
                return
        if is_told and self._untold:
            await self._tell()

    async def _tell(self) -> bool:
        self._on_its_way, self._untold = frozenset(self._untold), set()
        news = News(self.sender, list(self._on_its_way), sorted(self._topics))
        self._topics.clear()  # a reader whose nudge is lost looks by itself before long
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                # In this order: who hears of the change no longer finds what was copied before it.
                if self._on_its_way:
                    pipe.unlink(*map(copies_key, self._on_its_way))
                pipe.publish(CHANNEL, encode(news))
                await pipe.execute()
        except (RedisError, OSError) as error:
            _log.debug("nudge_lost", error=type(error).__name__)
            self._untold |= self._on_its_way
            return False
        finally:
            self._on_its_way = frozenset()
        return True


# `event_ids` are the subject ids: processes of the release before are notified while an update rolls out.


def encode(news: News) -> bytes:
    return orjson.dumps({"sender": news.sender, "event_ids": news.subject_ids, "topics": news.topics})


def read(nudge: bytes) -> News:
    """Decode a notification. Raises ValueError when it is malformed."""
    match orjson.loads(nudge):
        case {"sender": str(sender), "event_ids": list(subject_ids), "topics": list(topics)}:
            return News(UUID(sender), [UUID(str(one)) for one in subject_ids], [str(one) for one in topics])
    raise ValueError("a nudge names its sender, events and topics")


class Wake:
    """The reader's end: an event for each reader in this process, set by the nudges that concern it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[tuple[asyncio.Event, frozenset[str] | None]] = []

    def register(self, topics: Collection[str] | None = None) -> asyncio.Event:
        """For a reader of these topics; None: of all."""
        event = asyncio.Event()
        self._waiting.append((event, None if topics is None else frozenset(topics)))
        return event

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for as long as the block lasts."""
        task = asyncio.create_task(run_until_stopped(self._listen, log_outage(_log, "nudges_lost")))
        try:
            yield
        finally:
            # A cancellation can get lost in a library that is reconnecting just then, so it is repeated.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)

    async def _listen(self) -> None:
        """Set the registered events at each notification until Redis fails; readers poll as well."""
        async for data in self._messages():
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        try:
            topics = frozenset(read(data).topics)
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
