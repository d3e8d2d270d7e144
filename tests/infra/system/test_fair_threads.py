"""Work takes turns between sources, and its queue is bounded in total and per source."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ticketing.infra.errors import Overloaded
from ticketing.infra.system.fair_threads import FairThreads


class Gate:
    """Work that blocks its thread until the gate is opened, and records what ran."""

    def __init__(self) -> None:
        self.open, self.ran = threading.Event(), list[str]()

    def work(self, name: str) -> str:
        self.open.wait(60)
        self.ran.append(name)
        return name


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def call(queue: FairThreads, gate: Gate, source: str, name: str) -> "asyncio.Task[str]":
    return asyncio.ensure_future(queue.run(source, lambda: gate.work(name)))


async def test_a_storm_from_one_source_delays_another_by_one_turn(gate: Gate) -> None:
    queue = FairThreads("test", 1, waiting_max=100, waiting_of_source_max=50)
    storm = [call(queue, gate, "a", f"a{n}") for n in range(40)]
    await asyncio.sleep(0)
    other = call(queue, gate, "b", "b")
    await asyncio.sleep(0)
    gate.open.set()
    assert await other == "b"
    await asyncio.gather(*storm)
    assert gate.ran[:3] == ["a0", "a1", "b"]
    assert gate.ran[3:] == [f"a{n}" for n in range(2, 40)], "first come, first served within a source"


async def test_the_queue_is_bounded_per_source_and_in_total(gate: Gate) -> None:
    queue = FairThreads("test", 1, waiting_max=3, waiting_of_source_max=2)
    calls = [call(queue, gate, "a", f"a{n}") for n in range(3)]  # one runs, two wait
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await queue.run("a", lambda: "a")
    calls.append(call(queue, gate, "b", "b"))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await queue.run("c", lambda: "c")
    gate.open.set()
    await asyncio.gather(*calls)
    assert await queue.run("c", lambda: "c") == "c"


async def test_a_call_whose_client_has_gone_is_not_executed(gate: Gate) -> None:
    queue = FairThreads("test", 1, waiting_max=9, waiting_of_source_max=9)
    running, gone, waiting = (call(queue, gate, "a", name) for name in ("running", "gone", "waiting"))
    await asyncio.sleep(0)
    gone.cancel()
    running.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    assert await waiting == "waiting"
    assert gate.ran == ["running", "waiting"]


async def test_a_failed_call_frees_its_thread() -> None:
    queue = FairThreads("test", 1, waiting_max=9, waiting_of_source_max=9)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await queue.run("a", lambda: 1 / 0)
    assert await queue.run("a", lambda: 1) == 1


def test_an_event_loop_that_ended_with_work_waiting_blocks_no_other(gate: Gate) -> None:
    queue = FairThreads("test", 1, waiting_max=9, waiting_of_source_max=2)

    async def leave_work() -> None:
        for name in ("running", "waiting", "waiting too"):
            call(queue, gate, "a", name)
        await asyncio.sleep(0)

    async def work() -> str:
        return await queue.run("a", lambda: "done")

    asyncio.run(leave_work())
    gate.open.set()
    assert asyncio.run(work()) == "done"
