"""Threads for work that takes a core, shared in turns between sources: a storm from one source delays no other."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ticketing.infra.errors import Overloaded

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Waiting:
    work: Callable[[], Any]
    done: "asyncio.Future[Any]"


class FairThreads:
    """First come, first served within a source, such as a client address; round robin between sources."""

    def __init__(self, name: str, threads: int, *, waiting_max: int, waiting_of_source_max: int) -> None:
        """`waiting_max` bounds all waiting calls, `waiting_of_source_max` those of one source."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._thread_count = self._free = threads
        self._waiting_max, self._of_source_max = waiting_max, waiting_of_source_max
        #: In round-robin order; a source that waits for nothing has no entry.
        self._queues: dict[str, deque[_Waiting]] = {}
        self._size = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run(self, source: str, work: Callable[[], T]) -> T:
        """Run `work` in a thread when it is the turn of `source`. Raises Overloaded when a bound is reached."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # what waited in another event loop has ended with it
            self._loop, self._free, self._size = loop, self._thread_count, 0
            self._queues.clear()
        queue = self._queues.get(source, ())
        if self._size >= self._waiting_max or len(queue) >= self._of_source_max:
            raise Overloaded
        waiting = _Waiting(work, loop.create_future())
        self._queues.setdefault(source, deque()).append(waiting)
        self._size += 1
        self._start()
        result: T = await waiting.done
        return result

    def _start(self) -> None:
        while self._free and self._queues:
            waiting = self._next()
            if waiting.done.done():  # its client has disconnected
                continue
            self._free -= 1
            running = waiting.done.get_loop().run_in_executor(self._threads, waiting.work)
            running.add_done_callback(partial(self._finish, waiting))

    def _next(self) -> _Waiting:
        source = next(iter(self._queues))
        queue = self._queues.pop(source)
        waiting = queue.popleft()
        self._size -= 1
        if queue:  # to the end of the round
            self._queues[source] = queue
        return waiting

    def _finish(self, waiting: _Waiting, finished: "asyncio.Future[Any]") -> None:
        self._free += 1
        if not waiting.done.done():
            if (error := finished.exception()) is not None:
                waiting.done.set_exception(error)
            else:
                waiting.done.set_result(finished.result())
        self._start()
