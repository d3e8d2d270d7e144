"""What one viewer of the live map receives: a snapshot or what was missed, then changes and heartbeats, then good-bye.

Nothing here holds a database connection: the event was looked up and its connection given back before the first byte.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from ticketing.infra import log
from ticketing.infra.errors import Unavailable
from ticketing.infra.retry import OUTAGES
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.channel import Channel, Sent
from ticketing.modules.realtime.hub import Hub
from ticketing.modules.realtime.queries import Position

#: The contract says at least every 15 s; a snapshot that has to be waited for may come in between.
HEARTBEAT_SECONDS = 10.0
#: A viewer whose connection takes nothing for so long is let go. It comes back when it can.
SEND_SECONDS_MAX = 10.0
#: At a shutdown, the time that a stream has to say good-bye.
FAREWELL_SECONDS = 1.0
RETRY_MS = (1000, 5000)

_LAST_EVENT_ID = re.compile(r"([0-9a-z]{1,32}):([0-9]{1,18})", re.ASCII)
_log = log.get_logger(__name__)


class SeatStream(EventSourceResponse):
    """The library's response, with our heartbeat and our end for a viewer that does not drain."""

    def __init__(self, hub: Hub, channel: Channel, first: Sent) -> None:
        super().__init__(
            _events(hub, channel, first),
            ping=0,
            send_timeout=SEND_SECONDS_MAX,
            # One for all streams: whichever hears of the server's shutdown first tells the hub, and the hub tells all.
            shutdown_event=hub.closing,
            shutdown_grace_period=FAREWELL_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            metrics.SLOW_VIEWERS.inc()
            _log.info("slow_viewer_dropped")
            await _drop_connection(receive)


async def begin_stream(hub: Hub, channel: Channel, last_event_id: str | None) -> SeatStream:
    """A stream whose first event is at hand, so that what can go wrong does so before the first byte.

    Raises:
        Unavailable: the map can't be read at the moment.
    """
    position = _parse(last_event_id)
    try:
        if position is None or not channel.can_resume(position):
            return SeatStream(hub, channel, await channel.snapshot())
        missed = await channel.next_after(position)
    except TimeoutError:
        raise Unavailable from None
    return SeatStream(hub, channel, missed or _heartbeat(position))


def _parse(last_event_id: str | None) -> Position | None:
    found = _LAST_EVENT_ID.fullmatch(last_event_id or "")
    return Position(found[1], int(found[2])) if found else None


async def _events(hub: Hub, channel: Channel, first: Sent) -> AsyncIterator[bytes]:
    with channel.viewing() as wake:
        clock = asyncio.get_running_loop().time
        end_at = clock() + hub.stream_seconds_max * random.uniform(0.8, 1)
        beat_at = clock() + _jitter(HEARTBEAT_SECONDS)
        yield _retry()
        position = first.position
        yield _count(first)
        while not hub.is_closing and clock() < end_at:
            if clock() >= beat_at:
                beat_at = clock() + _jitter(HEARTBEAT_SECONDS)
                yield _count(_heartbeat(position))
            # Cleared before the question: what comes up in between wakes us again.
            wake.clear()
            sent = await _next(channel, position, wake)
            if sent is not None:
                position = sent.position
                yield _count(sent)
            elif not hub.is_closing:
                await _wait(wake, min(beat_at, end_at) - clock())
        # Nobody is thrown back at the same instant as everybody else.
        yield _retry()


async def _next(channel: Channel, position: Position, wake: asyncio.Event) -> Sent | None:
    try:
        return await channel.next_after(position)
    except OUTAGES as error:
        # The viewer keeps what it sees, and its heartbeat; it gets its snapshot when the database is back.
        _log.debug("snapshot_waits", error=type(error).__name__)
        await asyncio.sleep(_jitter(1.5))
        wake.set()
        return None


async def _wait(wake: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0, seconds)):
            await wake.wait()
    except TimeoutError:
        return


def _heartbeat(position: Position) -> Sent:
    return Sent.event("heartbeat", position, {"version": position.version})


def _count(sent: Sent) -> bytes:
    metrics.FRAMES.labels(sent.kind).inc()
    return sent.body


def _retry() -> bytes:
    """How long a browser waits before it comes back."""
    return b"retry: %d\n\n" % random.randint(*RETRY_MS)


def _jitter(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1)


async def _drop_connection(receive: Receive) -> None:
    """Cut the connection of a viewer that reads nothing.

    An ordinary close waits until what is buffered has left, which for this viewer is never: the socket would be kept.
    ASGI has no word for cutting, so the server's transport is looked for behind the layers around `receive`. When it
    isn't there, the server closes in its ordinary way.
    """
    layer: object = receive
    for _ in range(16):
        owner = getattr(layer, "__self__", None)
        if (transport := getattr(owner, "transport", None)) is not None:
            transport.abort()
            # The server has noticed when it says so; ending before that would look like a bug of ours in its log.
            await _until_disconnected(receive)
            return
        layer = getattr(owner, "receive", None)


async def _until_disconnected(receive: Receive) -> None:
    try:
        async with asyncio.timeout(1):
            while (await receive())["type"] != "http.disconnect":
                continue
    except TimeoutError:
        return
