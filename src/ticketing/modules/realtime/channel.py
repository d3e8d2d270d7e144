"""One event as this process shows it: the frames of late, and how a viewer at any version catches up.

A viewer has no queue. It has a position, and asks "what came after it?": the answer is the frames since, merged, or a
snapshot when they are not all here. So a slow viewer merges what a quick one gets one by one, nobody misses a version,
and the bytes are made once for all viewers that stand at the same position, which is nearly always everybody.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.queries import Areas, Availability, Position

RING_FRAMES = 512
RING_CHANGES = 8192
#: More changes than this, and a snapshot is the smaller thing to send.
MERGED_MAX = 2000
#: Two publishers may overtake each other between their commits and Redis; a missing frame is waited for so long.
REORDER_SECONDS = 0.2
AHEAD_MAX = 64
SNAPSHOT_REUSE_SECONDS = 0.25
SNAPSHOT_SECONDS_MAX = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes for a viewer, and where it stands once it has them."""

    kind: str
    position: Position
    body: bytes

    @classmethod
    def event(cls, kind: str, position: Position, data: dict[str, Any]) -> "Sent":
        head = f"id: {position}\nevent: {kind}\ndata: ".encode()
        return cls(kind, position, head + orjson.dumps(data) + b"\n\n")


class Frame(NamedTuple):
    """One version's changes, as the consumer published them."""

    version: int
    changes: list[tuple[int, str]]
    areas: Areas


class Channel:
    """The ring of frames of one event, its viewers' wake-up calls and its shared snapshot.

    The ring holds every version above `_floor` up to `_version`, without a gap. `_shown` is as far as viewers have been
    told: it follows `_version` at once after a quiet moment, and `frames_per_second` times a second in a rush.
    """

    def __init__(
        self, organization_id: UUID, load: Callable[[], Awaitable[Availability]], frames_per_second: int
    ) -> None:
        self._load, self._interval = load, 1 / frames_per_second
        self.organization_id = organization_id
        self._loop = asyncio.get_running_loop()
        self._epoch: str | None = None
        self._floor = self._version = self._shown = 0
        self._ring: deque[Frame] = deque()
        self._ring_changes = 0
        self._ahead: dict[int, Frame] = {}
        self._waking: set[asyncio.Event] = set()
        self._merged: dict[int, Sent | None] = {}
        self._shown_at = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._jumps = 0
        self._snapshot: Sent | None = None
        self._snapshot_at = 0.0
        self._loading: asyncio.Task[Sent] | None = None
        #: A published event stays visible for ever, so it need not be asked again for each viewer.
        self.is_public = False

    @property
    def viewers(self) -> int:
        return len(self._waking)

    @property
    def position(self) -> Position | None:
        """Where the stream stands, as far as this process knows; None before the first snapshot or frame."""
        return None if self._epoch is None else Position(self._epoch, self._version)

    @contextmanager
    def viewing(self) -> Iterator[asyncio.Event]:
        """An event that is set when there may be something new; gone again with the viewer, however it leaves."""
        wake = asyncio.Event()
        self._waking.add(wake)
        metrics.STREAMS.inc()
        try:
            yield wake
        finally:
            self._waking.discard(wake)
            metrics.STREAMS.dec()

    def wake_all(self) -> None:
        for wake in self._waking:
            wake.set()

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        if self._loading is not None:
            self._loading.cancel()

    # What comes in.

    def take(self, epoch: str, frame: Frame | None, version: int) -> None:
        """A frame from Redis; None for one that says "look at the map again". Late and repeated ones change nothing."""
        if epoch == self._epoch and version <= self._version:
            return
        if frame is None or (self._epoch is not None and epoch != self._epoch):
            self.jump(Position(epoch, version))
            return
        if self._epoch is None:
            self._epoch, self._floor, self._version = epoch, version - 1, version - 1
            self._shown = version - 1
        self._ahead[version] = frame
        self._append_what_fits()
        if len(self._ahead) > AHEAD_MAX:
            self._give_up_gap()
        elif self._ahead:
            self._call_later("gap", REORDER_SECONDS, self._give_up_gap)

    def jump(self, to: Position) -> None:
        """Versions up to this one are not to be had here: viewers behind it take a snapshot."""
        self._epoch, self._floor, self._version = to.epoch, to.version, to.version
        self._ring.clear()
        self._merged.clear()
        self._ring_changes = 0
        self._jumps += 1
        self._ahead = {version: frame for version, frame in self._ahead.items() if version > to.version}
        self._append_what_fits()
        self._show_soon()

    def _append_what_fits(self) -> None:
        while (frame := self._ahead.pop(self._version + 1, None)) is not None:
            self._ring.append(frame)
            self._ring_changes += len(frame.changes)
            self._version = frame.version
            while len(self._ring) > RING_FRAMES or self._ring_changes > RING_CHANGES:
                oldest = self._ring.popleft()
                self._floor, self._ring_changes = oldest.version, self._ring_changes - len(oldest.changes)
            self._show_soon()
        if not self._ahead and (timer := self._timers.pop("gap", None)):
            timer.cancel()

    def _give_up_gap(self) -> None:
        if self._ahead and self._epoch is not None:
            self.jump(Position(self._epoch, max(self._ahead)))

    def _show_soon(self) -> None:
        wait = self._shown_at + self._interval - self._loop.time()
        if wait <= 0:
            self._show()
        else:
            self._call_later("show", wait, self._show)

    def _show(self) -> None:
        self._shown, self._shown_at = self._version, self._loop.time()
        self._merged.clear()
        self.wake_all()

    def _call_later(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """At most one timer of each name."""
        if name not in self._timers:

            def fire() -> None:
                self._timers.pop(name, None)
                call()

            self._timers[name] = self._loop.call_later(seconds, fire)

    # What goes out.

    def covers(self, position: Position) -> bool:
        """True when every version after this position is, or will be, in the ring."""
        return position.epoch == self._epoch and position.version >= self._floor

    def can_resume(self, position: Position) -> bool:
        """Like `covers`, for a position that a client tells us: one from the future is not believed."""
        return self.covers(position) and position.version <= self._version

    async def next_after(self, position: Position) -> Sent | None:
        """What a viewer at this position gets next; None when it has seen all.

        Raises:
            TimeoutError, and what the database raises: a snapshot is needed and can't be had now.
        """
        if not self.covers(position):
            return await self.snapshot()
        if position.version >= self._shown:
            return None
        if position.version not in self._merged:
            self._merged[position.version] = self._merge(position.version)
        return self._merged[position.version] or await self.snapshot()

    def _merge(self, since: int) -> Sent | None:
        seats: dict[int, str] = {}
        areas: Areas = {}
        for frame in self._ring:
            if since < frame.version <= self._shown:
                seats.update(frame.changes)
                areas |= frame.areas
        if len(seats) > MERGED_MAX:
            return None
        position = Position(self._epoch or "", self._shown)
        data = {"version": position.version, "since": since, "changes": sorted(seats.items())}
        return Sent.event("seats.updated", position, data | ({"areas": areas} if areas else {}))

    async def snapshot(self) -> Sent:
        """The whole map. One query serves all who want it at this moment, and those of the next quarter second."""
        latest = self._snapshot
        is_fresh = self._loop.time() - self._snapshot_at <= SNAPSHOT_REUSE_SECONDS
        if latest is not None and is_fresh and self.covers(latest.position):
            return latest
        if self._loading is None or self._loading.done():
            self._loading = self._loop.create_task(self._load_snapshot())
        # A viewer that leaves must not take the query away from the others.
        return await asyncio.shield(self._loading)

    async def _load_snapshot(self) -> Sent:
        jumps = self._jumps
        async with asyncio.timeout(SNAPSHOT_SECONDS_MAX):
            map_ = await self._load()
        position = map_.position
        data = {"version": position.version, "seats": map_.seats, "areas": map_.areas}
        self._snapshot, self._snapshot_at = Sent.event("snapshot", position, data), self._loop.time()
        # The database is the truth, unless the stream has moved on while it was asked.
        if jumps == self._jumps and not self.covers(position):
            self.jump(position)
        return self._snapshot
