"""The recent frames of one event in this process, and how a viewer at any version catches up.

A viewer has no queue. It has a position, and gets the frames after it, merged, or a snapshot if some of them are no
longer in the ring. A slow viewer thus gets merged what a fast one gets one by one, no version is missed, and the bytes
are encoded once for all viewers at the same position, which is nearly always all of them.
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
#: With more changes than this, a snapshot is smaller.
MERGED_MAX = 2000
#: Time to wait for a missing frame: two publishers may overtake each other between their commits and Redis.
REORDER_SECONDS = 0.2
AHEAD_MAX = 64
SNAPSHOT_REUSE_SECONDS = 0.25
SNAPSHOT_SECONDS_MAX = 3


@dataclass(frozen=True, slots=True)
class SeatEvent:
    """An encoded event for viewers, and their position after it."""

    kind: str
    position: Position
    body: bytes

    @classmethod
    def event(cls, kind: str, position: Position, data: dict[str, Any]) -> "SeatEvent":
        head = f"id: {position}\nevent: {kind}\ndata: ".encode()
        return cls(kind, position, head + orjson.dumps(data) + b"\n\n")


class Frame(NamedTuple):
    """One version's changes, as the consumer published them."""

    version: int
    changes: list[tuple[int, str]]
    areas: Areas


class Channel:
    """The ring of frames of one event, its viewers' wake-up events, and the shared snapshot.

    The ring holds every version above `_floor` up to `_version`, without a gap. `_shown` is the version up to which
    viewers are served: it follows `_version` at once after a pause, and `frames_per_second` times a second under load.
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
        self._merged: dict[int, SeatEvent | None] = {}
        self._shown_at = 0.0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._jumps = 0
        self._snapshot: SeatEvent | None = None
        self._snapshot_at = 0.0
        self._loading: asyncio.Task[SeatEvent] | None = None
        #: A published event stays public, so this is not checked again for each viewer.
        self.is_public = False

    @property
    def viewers(self) -> int:
        return len(self._waking)

    @property
    def position(self) -> Position | None:
        """The latest known position of the stream; None before the first snapshot or frame."""
        return None if self._epoch is None else Position(self._epoch, self._version)

    @contextmanager
    def viewing(self) -> Iterator[asyncio.Event]:
        """Register a viewer for the block: an event that is set when there may be something new."""
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

    # Input.

    def take(self, epoch: str, frame: Frame | None, version: int) -> None:
        """Add a frame from Redis; None requires a new snapshot. Late and repeated frames are ignored."""
        if epoch == self._epoch and version <= self._version:
            return
        if frame is None or (self._epoch is not None and epoch != self._epoch):
            self.jump(Position(epoch, version))
            return
        if self._epoch is None:
            self._epoch, self._floor, self._version = epoch, version - 1, version - 1
            self._shown = version - 1
        self._ahead[version] = frame
        self._append_consecutive()
        if len(self._ahead) > AHEAD_MAX:
            self._skip_gap()
        elif self._ahead:
            self._call_later("gap", REORDER_SECONDS, self._skip_gap)

    def jump(self, to: Position) -> None:
        """Skip to a version whose predecessors are not available: viewers behind it get a snapshot."""
        self._epoch, self._floor, self._version = to.epoch, to.version, to.version
        self._ring.clear()
        self._merged.clear()
        self._ring_changes = 0
        self._jumps += 1
        self._ahead = {version: frame for version, frame in self._ahead.items() if version > to.version}
        self._append_consecutive()
        self._show_soon()

    def _append_consecutive(self) -> None:
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

    def _skip_gap(self) -> None:
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

    # Output.

    def covers(self, position: Position) -> bool:
        """True when every version after this position is, or will be, in the ring."""
        return position.epoch == self._epoch and position.version >= self._floor

    def can_resume(self, position: Position) -> bool:
        """Like `covers`, for a position from a client: a position beyond the latest version is rejected."""
        return self.covers(position) and position.version <= self._version

    async def next_after(self, position: Position) -> SeatEvent | None:
        """The next event for a viewer at this position; None if it is up to date.

        Raises:
            TimeoutError, and errors of the database: a snapshot is needed and can't be loaded.
        """
        if not self.covers(position):
            return await self.snapshot()
        if position.version >= self._shown:
            return None
        if position.version not in self._merged:
            self._merged[position.version] = self._merge(position.version)
        return self._merged[position.version] or await self.snapshot()

    def _merge(self, since: int) -> SeatEvent | None:
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
        return SeatEvent.event("seats.updated", position, data | ({"areas": areas} if areas else {}))

    async def snapshot(self) -> SeatEvent:
        """The whole map. One query serves all concurrent requests, and those of the next SNAPSHOT_REUSE_SECONDS."""
        latest = self._snapshot
        is_fresh = self._loop.time() - self._snapshot_at <= SNAPSHOT_REUSE_SECONDS
        if latest is not None and is_fresh and self.covers(latest.position):
            return latest
        if self._loading is None or self._loading.done():
            self._loading = self._loop.create_task(self._load_snapshot())
        # A viewer that disconnects must not cancel the query for the others.
        return await asyncio.shield(self._loading)

    async def _load_snapshot(self) -> SeatEvent:
        jumps = self._jumps
        async with asyncio.timeout(SNAPSHOT_SECONDS_MAX):
            map_ = await self._load()
        position = map_.position
        data = {**map_.as_payload(), "version": position.version}
        self._snapshot, self._snapshot_at = SeatEvent.event("snapshot", position, data), self._loop.time()
        # The database is authoritative, unless the stream has jumped during the query.
        if jumps == self._jumps and not self.covers(position):
            self.jump(position)
        return self._snapshot
