"""The gate: bounded work per lane and key, turns between keys, and places that nothing keeps for ever."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from tests.modules.realtime.live import Server, until
from ticketing.infra.errors import Overloaded
from ticketing.infra.http import server as http_server
from ticketing.infra.http.gate import Gate, GateLimits, GateMiddleware, Turn
from ticketing.infra.http.gate import gate as gate_module
from ticketing.infra.system.ports import listen

LIMITS = GateLimits(per_key=2, per_lane=4, waiting_per_key=30, wait_seconds=20)


class Connection:
    """What stands behind the `receive` of the server."""

    def __init__(self) -> None:
        self.disconnected = False
        self.body = b""

    async def receive(self) -> Message:
        return {"type": "http.disconnect"}


async def nothing() -> Message:
    return {"type": "http.disconnect"}


async def enter_all(gate: Gate, turns: list[Turn]) -> "list[asyncio.Task[object]]":
    """Start a request for each turn; those that find room have entered."""
    tasks = [asyncio.create_task(gate.enter(turn, nothing)) for turn in turns]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def leave_one_by_one(gate: Gate, tasks: "list[asyncio.Task[object]]", turns: list[Turn]) -> list[str]:
    """The keys in the order in which they enter, when each request leaves before the next one enters."""
    order, left = list[str](), set[int]()
    while len(left) < len(tasks):
        inside = [n for n, task in enumerate(tasks) if task.done() and n not in left]
        order += [turns[n].key for n in inside]
        left.update(inside)
        for n in inside:
            gate.leave(tasks[n].result())  # type: ignore[arg-type]
        await asyncio.sleep(0)
    return order


async def test_one_key_alone_has_the_whole_lane() -> None:
    tasks = await enter_all(Gate(LIMITS), [Turn("sale", "a")] * 10)
    assert [task.done() for task in tasks] == [True] * 4 + [False] * 6
    for task in tasks:
        task.cancel()


async def test_a_key_that_has_filled_its_share_leaves_room_for_others() -> None:
    gate = Gate(LIMITS)
    await enter_all(gate, [Turn("sale", "b")])
    tasks = await enter_all(gate, [Turn("sale", "a")] * 10)
    assert sum(task.done() for task in tasks) == LIMITS.per_key
    (late,) = await enter_all(gate, [Turn("sale", "b")])
    assert late.done()
    for task in tasks:
        task.cancel()


async def test_three_keys_take_turns_whatever_their_queues() -> None:
    gate = Gate(LIMITS._replace(per_lane=1))
    turns = [Turn("sale", "a")] * 30 + [Turn("sale", "b")] * 10 + [Turn("sale", "c")] * 10
    order = await leave_one_by_one(gate, await enter_all(gate, turns), turns)
    # The first one entered before the others came. From then on each key has ten turns: its long queue makes none wait.
    assert Counter(order[1:31]) == {"a": 10, "b": 10, "c": 10}
    assert Counter(order) == {"a": 30, "b": 10, "c": 10}


async def test_a_full_lane_does_not_delay_another() -> None:
    gate = Gate(LIMITS)
    tasks = await enter_all(gate, [Turn("sale", "a")] * 10)
    for lane in ("scan", "provider", "staff", "read"):
        (task,) = await enter_all(gate, [Turn(lane, "a")])
        assert task.done()
    for task in tasks:
        task.cancel()


async def test_a_cancelled_request_frees_its_place() -> None:
    gate = Gate(LIMITS._replace(per_lane=1))
    first, second, third = await enter_all(gate, [Turn("sale", "a")] * 3)
    second.cancel()
    gate.leave(first.result())  # type: ignore[arg-type]
    await asyncio.wait_for(third, 5)


async def test_a_request_that_is_cancelled_as_it_enters_frees_its_place() -> None:
    gate = Gate(LIMITS._replace(per_lane=1))
    first, second, third = await enter_all(gate, [Turn("sale", "a")] * 3)
    gate.leave(first.result())  # type: ignore[arg-type]
    # Runs after the second was let in, and before its task goes on.
    asyncio.get_running_loop().call_soon(second.cancel)
    await asyncio.wait_for(third, 5)
    assert second.cancelled()


async def test_a_client_that_has_disconnected_is_not_let_in() -> None:
    gate, gone = Gate(LIMITS._replace(per_lane=1)), Connection()
    (first,) = await enter_all(gate, [Turn("sale", "a")])
    second = asyncio.create_task(gate.enter(Turn("sale", "a"), gone.receive))
    (third,) = await enter_all(gate, [Turn("sale", "a")])
    gone.disconnected = True
    gate.leave(first.result())  # type: ignore[arg-type]
    await asyncio.wait_for(third, 5)
    with pytest.raises(Overloaded):
        await second


async def test_requests_beyond_the_queue_are_refused_at_once() -> None:
    gate = Gate(LIMITS._replace(waiting_per_key=3))
    tasks = await enter_all(gate, [Turn("sale", "a")] * 8)
    assert isinstance(tasks[7].exception(), Overloaded)
    for key in "bcdef":  # the lane has room for twelve
        tasks += await enter_all(gate, [Turn("sale", key)] * 3)
    assert sum(task.done() and task.exception() is not None for task in tasks) == 7
    for task in tasks:
        task.cancel()


async def test_a_request_does_not_wait_longer_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "SWEEP_SECONDS", 0.01)
    gate = Gate(LIMITS._replace(per_lane=1, wait_seconds=0.01))
    await enter_all(gate, [Turn("sale", "a")])
    with pytest.raises(Overloaded):
        await asyncio.wait_for(gate.enter(Turn("sale", "a"), nothing), 10)


async def test_a_stream_does_not_keep_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "SWEEP_SECONDS", 0.01)
    monkeypatch.setattr(gate_module, "PLACE_SECONDS", 0.05)
    gate = Gate(LIMITS._replace(per_lane=1))
    stream = await gate.enter(Turn("read", "a"), nothing)
    second = await asyncio.wait_for(gate.enter(Turn("read", "a"), nothing), 10)
    gate.leave(stream)  # it ends later, and gives nothing back that it no longer has
    third = asyncio.create_task(gate.enter(Turn("read", "a"), nothing))
    await asyncio.sleep(0)
    assert not third.done()
    gate.leave(second)
    await asyncio.wait_for(third, 10)


def behind_gate(limits: GateLimits, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> GateMiddleware:
    return GateMiddleware(app, Gate(limits), lambda scope, arrived: Turn("sale", bytes(arrived).decode()))


async def test_a_stopping_server_serves_what_waits() -> None:
    release, inside = asyncio.Event(), 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal inside
        inside += 1
        await release.wait()
        await PlainTextResponse("done")(scope, receive, send)

    gated = behind_gate(LIMITS._replace(per_lane=1), app)
    with listen("127.0.0.1", 0) as listener:
        server = Server(http_server.configure(gated, lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started)
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            requests = [asyncio.create_task(client.post("/", content=b"a")) for _ in range(5)]
            await until(lambda: len(server.server_state.connections) == 5 and inside == 1)
            server.should_exit = True
            await until(lambda: not server.servers[0].is_serving())
            release.set()
            assert [(await request).status_code for request in requests] == [200] * 5
        await running
    assert inside == 5


async def test_a_refusal_says_when_to_come_back() -> None:
    blocked = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await blocked.wait()
        await PlainTextResponse("done")(scope, receive, send)

    transport = httpx2.ASGITransport(behind_gate(LIMITS._replace(per_lane=1, waiting_per_key=1), app))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        waiting = [asyncio.create_task(client.get("/")) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = await client.get("/")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        blocked.set()
        assert [(await request).status_code for request in waiting] == [200, 200]
