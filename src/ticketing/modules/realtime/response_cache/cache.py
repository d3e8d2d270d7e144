"""Answers about events that change all the time, kept in memory and yet never older than the question.

A copy is good until it is forgotten. It is forgotten with every commit that published a fact about its event: in this
process at once, in others when they hear of it. So copies are kept only while this process hears, and only those that
were read while it heard; and because what was heard may be lost, none is good for longer than LIFE_SECONDS.

While an event changes thousands of times a second no copy is ever kept. Whoever finds none waits for a reading that
begins after they came, together with everybody else who waits, and a reading rests for four times as long as it took:
so the cost is bounded, whatever the rates of changes and of questions are.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any
from uuid import UUID

from ticketing.infra import log
from ticketing.infra.errors import TicketingError, Unavailable
from ticketing.infra.retry import OUTAGES
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.response_cache.responses import Copy

#: How long a change may stay unseen when the news of it is lost.
LIFE_SECONDS = 1.0
#: After a reading that took one second, this many seconds go by before the next; never more than RESTS_MAX in all.
RESTS = 4
RESTS_MAX_SECONDS = 1.0
READ_SECONDS_MAX = 3.0
#: Of 50 kB for a hall and 300 kB for an arena. The oldest goes, and comes back with the next request.
SHELVES_MAX = 384

ROOT = "/api/v1/events/"

#: Reads an event's answer; whether it may be taken from another process is the second argument.
Read = Callable[[UUID, bool], Awaitable[Copy]]

_log = log.get_logger(__name__)


class NoCopy(Exception):
    """There is nothing here to be copied; the ordinary route knows what to say."""


class Shelf:
    """The place of one copy."""

    def __init__(self, copies: "Copies", event_id: UUID, question: str) -> None:
        self._copies, self._event_id = copies, event_id
        self._read = copies.readings[question]
        self._copy: Copy | None = None
        #: Raised by everything that makes what is being read at this moment too old to be kept.
        self._generation = 0
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[Copy] | None = None
        self._rests_until = 0.0
        self._name = question or "event"
        self._found = metrics.CACHE_RESPONSES.labels(self._name, "memory")

    def find(self) -> Copy | None:
        """The copy, while it is good."""
        copy = self._copy
        return copy if copy is not None and asyncio.get_running_loop().time() < copy.good_until else None

    def forget(self) -> None:
        """Whoever asks from now on is told nothing that was read before."""
        self._copy = None
        self._generation += 1

    async def take(self) -> Copy:
        """A copy that is no older than this call.

        Raises:
            NoCopy, TicketingError, what the database raises, and TimeoutError.
        """
        if (copy := self.find()) is not None:
            self._found.inc()
            return copy
        if self._next is None:
            self._next = self._copies.start(self._take_turn())
        # One who leaves must not take the reading away from the others.
        copy = await asyncio.shield(self._next)
        metrics.CACHE_RESPONSES.labels(self._name, copy.source).inc()
        return copy

    async def _take_turn(self) -> Copy:
        async with self._turn:
            if (copy := self.find()) is None:
                await asyncio.sleep(self._rests_until - asyncio.get_running_loop().time())
            # Who comes from here on may want to see what this reading will not: theirs is the next one.
            self._next = None
            return copy or await self._read_and_keep()

    async def _read_and_keep(self) -> Copy:
        clock = asyncio.get_running_loop().time
        began, generation = clock(), self._generation
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                copy = await self._read(self._event_id, self._copies.is_hearing)
        finally:
            self._rests_until = clock() + min(RESTS_MAX_SECONDS, RESTS * (clock() - began))
        # A change that was heard of meanwhile may or may not be in it: it is for those who came before, and not kept.
        if generation == self._generation and self._copies.is_hearing:
            self._copy = copy
        return copy


class Copies:
    """The shelves of this process, by the address of the request that they answer."""

    def __init__(self, readings: Mapping[str, Read]) -> None:
        self.readings = readings
        #: True while this process hears of changes that others make.
        self.is_hearing = False
        self._shelves: dict[str, Shelf] = {}
        self._tasks: set[asyncio.Task[Copy]] = set()

    def open(self, path: str) -> None:
        """Keep copies of what this address answers: for an event that has been shown to the public, and so stays."""
        event_id, _, question = path.removeprefix(ROOT).partition("/")
        if path in self._shelves or question not in self.readings or not _is_canonical(event_id):
            return
        while len(self._shelves) >= SHELVES_MAX:
            del self._shelves[next(iter(self._shelves))]
        self._shelves[path] = Shelf(self, UUID(event_id), question)

    async def take(self, path: str) -> Copy | None:
        """A copy that is no older than this call; None when none is kept of this address.

        Raises:
            Unavailable: it can't be read at the moment.
        """
        shelf = self._shelves.get(path)
        if shelf is None:
            return None
        try:
            return await shelf.take()
        except (NoCopy, TicketingError):
            self._shelves.pop(path, None)
            return None
        except OUTAGES as error:
            _log.warning("copy_not_read", error=type(error).__name__)
            raise Unavailable from None

    def forget(self, event_ids: Collection[UUID]) -> None:
        """These events have changed."""
        for event_id in event_ids:
            for question in self.readings:
                if (shelf := self._shelves.get(path_of(event_id, question))) is not None:
                    shelf.forget()

    def hear(self, is_hearing: bool) -> None:
        """News of others' changes comes in from now on, or no longer does: either way, who knows what was missed."""
        self.is_hearing = is_hearing
        for shelf in self._shelves.values():
            shelf.forget()

    def start(self, reading: Coroutine[Any, Any, Copy]) -> asyncio.Task[Copy]:
        task = asyncio.get_running_loop().create_task(reading)
        self._tasks.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[Copy]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever still waits is told; when nobody does, nobody misses it

    async def close(self) -> None:
        """Let the readings that run go no further."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def path_of(event_id: UUID, question: str) -> str:
    """The address of an event's map; of the event itself, when the question is empty."""
    return f"{ROOT}{event_id}/{question}" if question else f"{ROOT}{event_id}"


def _is_canonical(event_id: str) -> bool:
    try:
        return str(UUID(event_id)) == event_id
    except ValueError:
        return False
