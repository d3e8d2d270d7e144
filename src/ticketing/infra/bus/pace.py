"""A pace for effects that can wait: during a rush, they leave the processors to those that cannot."""

import asyncio
import time
from collections.abc import Collection

from ticketing.infra.outbox import Delivery, Message
from ticketing.infra.system import database_clock
from ticketing.infra.system.retry import Stopped
from ticketing.infra.system.sleep import pause


class Pace:
    """Delivers young messages of some kinds no faster than `per_second`, after a burst that is not slowed down.

    A message that is older than `until_seconds` is delivered at once: a backlog is not limited by the pace. Messages
    behind one that waits wait as well, because a group keeps the order of the log.
    """

    def __init__(self, kinds: Collection[type[Message]], per_second: float, burst: int, until_seconds: float) -> None:
        self._topics = {kind.topic for kind in kinds}
        self._interval, self._burst, self._until = 1 / per_second, burst, until_seconds
        self._next_at = 0.0

    async def wait(self, delivery: Delivery, stop: asyncio.Event) -> None:
        """Wait until the message may be delivered. Raises Stopped when `stop` is set meanwhile."""
        age = database_clock.now() - delivery.occurred_at.timestamp()
        if seconds := self.reserve(delivery.topic, age, time.monotonic()):
            await pause(seconds, stop)
            if stop.is_set():
                raise Stopped

    def reserve(self, topic: str, age: float, now: float) -> float:
        """The seconds that a message of this age has to wait from `now`, of any monotonic clock; it takes its turn."""
        if topic not in self._topics or age >= self._until:
            return 0.0
        at = max(self._next_at, now - (self._burst - 1) * self._interval)
        self._next_at = at + self._interval
        return max(0.0, min(at - now, self._until - max(age, 0.0)))
