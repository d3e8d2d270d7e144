"""The frames and viewers of one event, without servers: order, gaps, merging, and one query for all viewers."""

import asyncio
from uuid import uuid4

import orjson
import pytest

from ticketing.modules.realtime import channel as module
from ticketing.modules.realtime.channel import Channel, Frame, SeatEvent
from ticketing.modules.realtime.queries import Availability, Position


class Map:
    """A database that counts its queries."""

    def __init__(self) -> None:
        self.now = Availability(Position("e", 10), "aaaa", {})
        self.asked = 0

    async def load(self) -> Availability:
        self.asked += 1
        answer = self.now
        await asyncio.sleep(0.01)
        return answer


@pytest.fixture
def map_() -> Map:
    return Map()


@pytest.fixture
async def channel(map_: Map) -> Channel:
    """Serves every frame at once, so that tests need not wait."""
    return Channel(uuid4(), map_.load, frames_per_second=100_000)


def frame(version: int, *changes: tuple[int, str]) -> Frame:
    return Frame(version, list(changes), {})


def take(channel: Channel, *frames: Frame) -> None:
    for one in frames:
        channel.take("e", one, one.version)


async def settle() -> None:
    await asyncio.sleep(0.005)


def data(sent: SeatEvent | None) -> dict[str, object]:
    assert sent is not None
    lines = sent.body.decode().splitlines()
    assert lines[0] == f"id: {sent.position}"
    assert lines[1] == f"event: {sent.kind}"
    body: dict[str, object] = orjson.loads(lines[2].removeprefix("data: "))
    return body


async def test_viewers_in_step_share_the_same_bytes(channel: Channel) -> None:
    here = (await channel.snapshot()).position
    take(channel, frame(11, (0, "h")))
    await settle()
    first, second = [await channel.next_after(here) for _ in range(2)]
    assert first is second
    assert data(first) == {"version": 11, "since": 10, "changes": [[0, "h"]]}


async def test_a_slow_viewer_gets_the_latest_states_merged(channel: Channel) -> None:
    here = (await channel.snapshot()).position
    take(channel, frame(11, (0, "h"), (1, "h")), frame(12, (0, "s")), frame(13, (1, "a")))
    await settle()
    assert data(await channel.next_after(here))["changes"] == [[0, "s"], [1, "a"]]


async def test_frames_out_of_order_are_put_in_order(channel: Channel, map_: Map) -> None:
    here = (await channel.snapshot()).position
    take(channel, frame(13, (0, "a")), frame(12, (0, "s")), frame(11, (0, "h")), frame(11, (0, "h")))
    await settle()
    sent = await channel.next_after(here)
    assert data(sent)["changes"] == [[0, "a"]]
    assert sent is not None
    assert await channel.next_after(sent.position) is None
    assert map_.asked == 1


async def test_a_missing_frame_makes_every_viewer_take_a_snapshot(channel: Channel, map_: Map) -> None:
    here = (await channel.snapshot()).position
    take(channel, frame(12, (0, "h")))
    await settle()
    assert await channel.next_after(here) is None
    map_.now = Availability(Position("e", 12), "haaa", {})
    await asyncio.sleep(module.REORDER_SECONDS + 0.05)
    sent = await channel.next_after(here)
    assert sent is not None
    assert (sent.kind, sent.position.version) == ("snapshot", 12)


async def test_a_late_frame_changes_nothing(channel: Channel) -> None:
    here = (await channel.snapshot()).position
    take(channel, frame(9, (0, "s")), frame(10, (0, "s")))
    await settle()
    assert await channel.next_after(here) is None


async def test_frames_that_the_ring_has_dropped_are_replaced_by_a_snapshot(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RING_FRAMES", 3)
    here = (await channel.snapshot()).position
    take(channel, *(frame(version, (version, "h")) for version in range(11, 16)))
    await settle()
    assert channel.can_resume(Position("e", 12))
    assert not channel.can_resume(Position("e", 11))
    sent = await channel.next_after(here)
    assert sent is not None
    assert sent.kind == "snapshot"


async def test_very_many_changes_come_as_a_snapshot(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MERGED_MAX", 2)
    here = (await channel.snapshot()).position
    take(channel, frame(11, (0, "h"), (1, "h"), (2, "h")))
    await settle()
    sent = await channel.next_after(here)
    assert sent is not None
    assert sent.kind == "snapshot"


async def test_another_epoch_makes_every_viewer_take_a_snapshot(channel: Channel, map_: Map) -> None:
    here = (await channel.snapshot()).position
    map_.now = Availability(Position("f", 1), "ssss", {})
    channel.take("f", frame(1, (0, "s")), 1)
    await settle()
    sent = await channel.next_after(here)
    assert sent is not None
    assert (sent.kind, sent.position) == ("snapshot", Position("f", 1))
    assert await channel.next_after(sent.position) is None


async def test_one_query_serves_all_concurrent_viewers(channel: Channel, map_: Map) -> None:
    sent = await asyncio.gather(*(channel.snapshot() for _ in range(100)))
    assert map_.asked == 1
    assert all(one is sent[0] for one in sent)
    await channel.snapshot()
    assert map_.asked == 1
    await asyncio.sleep(module.SNAPSHOT_REUSE_SECONDS + 0.02)
    await channel.snapshot()
    assert map_.asked == 2


async def test_a_viewer_that_disconnects_does_not_cancel_the_snapshot_of_the_others(channel: Channel) -> None:
    leaves, stays = [asyncio.create_task(channel.snapshot()) for _ in range(2)]
    await asyncio.sleep(0)
    leaves.cancel()
    assert (await stays).kind == "snapshot"


async def test_frames_that_arrive_during_a_snapshot_are_not_lost(channel: Channel, map_: Map) -> None:
    reading = asyncio.create_task(channel.snapshot())
    await asyncio.sleep(0)
    take(channel, frame(10, (0, "h")), frame(11, (1, "h")))
    here = (await reading).position
    assert here == Position("e", 10)
    assert data(await channel.next_after(here))["changes"] == [[1, "h"]]


async def test_the_first_change_is_sent_at_once_and_the_next_ones_together(map_: Map) -> None:
    channel = Channel(uuid4(), map_.load, frames_per_second=5)
    here = (await channel.snapshot()).position
    await asyncio.sleep(0.2)
    with channel.viewing() as wake:
        take(channel, frame(11, (0, "h")))
        assert wake.is_set()
        sent = await channel.next_after(here)
        assert sent is not None
        here = sent.position
        wake.clear()
        take(channel, frame(12, (1, "h")), frame(13, (2, "h")))
        assert not wake.is_set()
        assert await channel.next_after(here) is None
        await asyncio.wait_for(wake.wait(), 30)
        assert data(await channel.next_after(here))["changes"] == [[1, "h"], [2, "h"]]
