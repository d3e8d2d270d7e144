"""The gate: how many requests a process works on at one time, in which order, and whose turn it is.

An event loop that works on all requests at once makes each wait for all others: a rush at one event delays every
request of every tenant. The gate stands before everything that costs time. It lets a bounded number of requests per
lane and key in, and lets the others wait, which costs a few microseconds each. Keys of a lane take turns, whatever the
length of their queues; lanes are independent of each other, so that none can fill another.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from starlette.types import Receive

from ticketing.infra.errors import Overloaded
from ticketing.infra.metrics import Counter, Gauge

#: Waiting requests that enter in one iteration of the event loop, so that the steps of others come in between.
ENTER_AT_ONCE = 4
#: A request counts for this long at most: a stream, a long poll, or a slow upload does not use what the bound protects.
PLACE_SECONDS = 2.0
#: Interval between looks for requests that have waited, or counted, for too long.
SWEEP_SECONDS = 0.25
#: Two keys are active if requests of both have arrived within this time.
ACTIVE_SECONDS = 1.0

WAITING = Gauge("ticketing_gate_waiting", "Requests that wait at the gate", ["lane"], multiprocess_mode="livesum")
ENTERED = Counter("ticketing_gate_entered_total", "Requests that passed the gate", ["lane"])
REFUSED = Counter("ticketing_gate_refused_total", "Requests refused at the gate, by reason", ["lane", "reason"])

_waiting, _entered = lru_cache(WAITING.labels), lru_cache(ENTERED.labels)


class Turn(NamedTuple):
    """Where a request belongs: a lane, and the key that takes turns with other keys of the lane."""

    lane: str
    key: str


class GateLimits(NamedTuple):
    """The bounds of each lane."""

    #: Requests of one key that are worked on at one time while other keys are active.
    per_key: int
    #: Requests of the lane that are worked on at one time.
    per_lane: int
    #: Requests of one key that wait; four times as many of a lane.
    waiting_per_key: int
    wait_seconds: float


@dataclass(slots=True, eq=False)
class _Place:
    """A request that has entered."""

    lane: "_Lane"
    key: str
    until: float


@dataclass(slots=True, eq=False)
class _Waiter:
    entered: "asyncio.Future[_Place]"
    receive: Receive
    until: float

    @property
    def is_gone(self) -> bool:
        """Whether its task was cancelled, or its client has disconnected."""
        return self.entered.done() or bool(getattr(connection_of(self.receive), "disconnected", False))


@dataclass(slots=True)
class _Lane:
    name: str
    inside: int = 0
    inside_by_key: dict[str, int] = field(default_factory=dict)
    #: In round-robin order; a key without waiting requests has no entry.
    queues: dict[str, deque[_Waiter]] = field(default_factory=dict)
    waiting: int = 0
    is_entering: bool = False
    last_key: str = ""
    is_shared_until: float = 0.0


class Gate:
    """Bounds the requests in progress per lane and key. One per process; not thread-safe."""

    def __init__(self, limits: GateLimits) -> None:
        self._limits = limits
        self._lanes: dict[str, _Lane] = {}
        #: In the order in which they entered.
        self._places: dict[_Place, None] = {}
        self._sweep: asyncio.TimerHandle | None = None

    async def enter(self, turn: Turn, receive: Receive) -> _Place:
        """Wait for a place, which `leave` gives back. `receive` tells whether the client is still there.

        Raises:
            Overloaded: too many wait already, or this request has waited for too long.
        """
        lane, now = self._lane(turn.lane), time.monotonic()
        if turn.key != lane.last_key:
            if lane.last_key:
                lane.is_shared_until = now + ACTIVE_SECONDS
            lane.last_key = turn.key
        if turn.key not in lane.queues and self._has_room(lane, turn.key, now):
            return self._let_in(lane, turn.key, now)
        queue = lane.queues.get(turn.key)
        per_key = self._limits.waiting_per_key
        if lane.waiting >= 4 * per_key or (queue is not None and len(queue) >= per_key):
            REFUSED.labels(lane.name, "full").inc()
            raise Overloaded
        waiter = _Waiter(asyncio.get_running_loop().create_future(), receive, now + self._limits.wait_seconds)
        lane.queues.setdefault(turn.key, deque()).append(waiter)
        self._count_waiting(lane, 1)
        self._start_sweep()
        try:
            return await waiter.entered
        except asyncio.CancelledError:
            entered = waiter.entered
            if not entered.cancelled() and entered.exception() is None:  # let in, and cancelled before it could run
                self.leave(entered.result())
            raise

    def leave(self, place: _Place) -> None:
        """Give a place back. Does nothing the second time."""
        if place not in self._places:
            return
        del self._places[place]
        lane, key = place.lane, place.key
        lane.inside -= 1
        if lane.inside_by_key[key] == 1:
            del lane.inside_by_key[key]
        else:
            lane.inside_by_key[key] -= 1
        self._enter_soon(lane)

    def _lane(self, name: str) -> _Lane:
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(name)
        return lane

    def _has_room(self, lane: _Lane, key: str, now: float) -> bool:
        if lane.inside >= self._limits.per_lane:
            return False
        return now >= lane.is_shared_until or lane.inside_by_key.get(key, 0) < self._limits.per_key

    def _let_in(self, lane: _Lane, key: str, now: float) -> _Place:
        place = _Place(lane, key, now + PLACE_SECONDS)
        self._places[place] = None
        lane.inside += 1
        lane.inside_by_key[key] = lane.inside_by_key.get(key, 0) + 1
        _entered(lane.name).inc()
        self._start_sweep()
        return place

    def _enter_soon(self, lane: _Lane) -> None:
        if lane.queues and not lane.is_entering:
            lane.is_entering = True
            asyncio.get_running_loop().call_soon(self._enter_some, lane)

    def _enter_some(self, lane: _Lane) -> None:
        lane.is_entering, now, entered = False, time.monotonic(), 0
        for key in [*lane.queues]:
            if entered == ENTER_AT_ONCE or lane.inside >= self._limits.per_lane:
                break
            if self._has_room(lane, key, now):
                entered += self._enter_next(lane, key, now)
        if entered:
            self._enter_soon(lane)

    def _enter_next(self, lane: _Lane, key: str, now: float) -> bool:
        """Let the first of a key's queue in; then it is another key's turn."""
        queue = lane.queues.pop(key)
        while queue:
            waiter = queue.popleft()
            self._count_waiting(lane, -1)
            if queue:
                lane.queues[key] = queue  # to the end of the round
            if not waiter.is_gone:
                waiter.entered.set_result(self._let_in(lane, key, now))
                return True
            self._refuse(lane, waiter, "gone")
        lane.queues.pop(key, None)
        return True

    def _refuse(self, lane: _Lane, waiter: _Waiter, reason: str) -> None:
        if not waiter.entered.done():
            waiter.entered.set_exception(Overloaded())
            REFUSED.labels(lane.name, reason).inc()

    def _start_sweep(self) -> None:
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._end_overdue)

    def _end_overdue(self) -> None:
        self._sweep, now = None, time.monotonic()
        while self._places and (place := next(iter(self._places))).until <= now:
            self.leave(place)
        for lane in self._lanes.values():
            for key, queue in [*lane.queues.items()]:
                self._refuse_overdue(lane, key, queue, now)
            self._enter_soon(lane)
        if self._places or any(lane.queues for lane in self._lanes.values()):
            self._start_sweep()

    def _refuse_overdue(self, lane: _Lane, key: str, queue: deque[_Waiter], now: float) -> None:
        while queue and queue[0].until <= now:
            waiter = queue.popleft()
            self._count_waiting(lane, -1)
            self._refuse(lane, waiter, "late")
        if not queue:
            del lane.queues[key]

    def _count_waiting(self, lane: _Lane, by: int) -> None:
        lane.waiting += by
        _waiting(lane.name).set(lane.waiting)


def connection_of(receive: Receive) -> object | None:
    """The server's own object behind its `receive`; None behind another layer, as in tests."""
    return getattr(receive, "__self__", None)
