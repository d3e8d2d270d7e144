"""The pace of effects that can wait."""

import asyncio
from datetime import UTC, datetime
from typing import ClassVar
from uuid import uuid4

import pytest

from ticketing.infra.bus.pace import Pace
from ticketing.infra.outbox import Delivery, Message
from ticketing.infra.system.retry import Stopped


class Paced(Message):
    topic: ClassVar[str] = "test.paced"


def pace() -> Pace:
    return Pace([Paced], per_second=5, burst=3, until_seconds=25)


def test_a_burst_is_not_slowed_down_and_the_rest_is() -> None:
    paced = pace()
    waits = [paced.reserve("test.paced", 0.0, 100.0) for _ in range(6)]
    assert waits == pytest.approx([0, 0, 0, 0.2, 0.4, 0.6])
    assert paced.reserve("test.paced", 0.0, 200.0) == 0, "later, there is room for a burst again"


def test_other_messages_and_old_ones_do_not_wait() -> None:
    paced = pace()
    for _ in range(200):
        paced.reserve("test.paced", 0.0, 100.0)
    assert paced.reserve("test.other", 0.0, 100.0) == 0
    assert paced.reserve("test.paced", 25.0, 100.0) == 0
    assert paced.reserve("test.paced", 24.0, 100.0) == 1, "no message waits until it is older than that"
    assert paced.reserve("test.paced", -3600.0, 100.0) == 25, "nor for longer, when clocks differ"


async def test_a_stop_ends_the_wait() -> None:
    paced, stop = pace(), asyncio.Event()
    for _ in range(100):
        paced.reserve("test.paced", 0.0, 0.0)
    delivery = Delivery(uuid4(), "test.paced", "key", 1, datetime.now(UTC), None, {}, "", "", "", 1)
    paced._next_at = float("inf")
    waiting = asyncio.create_task(paced.wait(delivery, stop))
    await asyncio.sleep(0)
    assert not waiting.done()
    stop.set()
    with pytest.raises(Stopped):
        await waiting
