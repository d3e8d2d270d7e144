"""The stream of one viewer: a snapshot or the missed changes, then changes and heartbeats, the last with a retry time.

A stream holds no database connection: the event is looked up, and the connection returned, before the first byte.
"""

import asyncio
import random
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from ticketing.infra import log
from ticketing.infra.errors import Unavailable
from ticketing.infra.http.head_requests import is_head
from ticketing.infra.system.retry import OUTAGES
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.channel import Channel, SeatEvent
from ticketing.modules.realtime.hub import Hub
from ticketing.modules.realtime.queries import Position

#: The API promises at least every 15 s; waiting for a snapshot may delay a heartbeat.
HEARTBEAT_SECONDS = 10.0
#: A viewer that reads nothing for this long is disconnected; its browser reconnects.
SEND_SECONDS_MAX = 10.0
#: Time for a stream to end properly at a shutdown.
SHUTDOWN_GRACE_SECONDS = 1.0
RETRY_MS = (1000, 5000)

_LAST_EVENT_ID = re.compile(r"([0-9a-z]{1,32}):([0-9]{1,18})", re.ASCII)
_log = log.get_logger(__name__)


class SeatStream(EventSourceResponse):
    """The library's response, with the hub's heartbeat, and a cut connection for a viewer that does not read."""

    def __init__(self, hub: Hub, channel: Channel, first: SeatEvent) -> None:
        super().__init__(
            _events(hub, channel, first),
            ping=0,
            send_timeout=SEND_SECONDS_MAX,
            # Shared by all streams: the first one that notices the shutdown sets it, and the hub ends all of them.
            shutdown_event=hub.closing,
            shutdown_grace_period=SHUTDOWN_GRACE_SECONDS,
        )

        #: Closed when the stream has ended.
        self.counted = ExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self.counted:
                # For HEAD, the library sends the headers and does not begin the stream.
                await super().__call__({**scope, "method": "HEAD"} if is_head(scope) else scope, receive, send)
        except SendTimeoutError:
            metrics.SLOW_VIEWERS.inc()
            _log.info("slow_viewer_dropped")
            await _drop_connection(receive)


async def begin_stream(hub: Hub, channel: Channel, last_event_id: str | None) -> SeatStream:
    """A stream with its first event loaded, so that errors are raised before the first byte.

    Raises:
        Unavailable: the map can't be read now.
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


async def _events(hub: Hub, channel: Channel, first: SeatEvent) -> AsyncIterator[bytes]:
    with channel.viewing() as wake:
        clock = asyncio.get_running_loop().time
        end_at = clock() + hub.stream_seconds_max * random.uniform(0.8, 1)
        beat_at = clock() + _jitter(HEARTBEAT_SECONDS)
        position = first.position
        yield _retry() + _count(first)
        while not hub.is_closing and clock() < end_at:
            if clock() >= beat_at:
                beat_at = clock() + _jitter(HEARTBEAT_SECONDS)
                yield _count(_heartbeat(position))
            # Cleared before the check, so that a change in between sets it again.
            wake.clear()
            sent = await _next(channel, position, wake)
            if sent is not None:
                position = sent.position
                yield _count(sent)
            elif not hub.is_closing:
                await _wait(wake, min(beat_at, end_at) - clock())
        # A random interval, so that viewers do not reconnect all at once.
        yield _retry() + _count(_heartbeat(position))


async def _next(channel: Channel, position: Position, wake: asyncio.Event) -> SeatEvent | None:
    try:
        return await channel.next_after(position)
    except OUTAGES as error:
        # The viewer keeps its map and its heartbeats, and gets the snapshot when the database is back.
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


def _heartbeat(position: Position) -> SeatEvent:
    return SeatEvent.event("heartbeat", position, {"version": position.version})


def _count(sent: SeatEvent) -> bytes:
    metrics.FRAMES.labels(sent.kind).inc()
    return sent.body


def _retry() -> bytes:
    """The line with the interval after which a browser reconnects.

    It begins an event. A block of its own has no data: by the standard nothing is dispatched for it, but several client
    libraries dispatch an empty event.
    """
    return b"retry: %d\n" % random.randint(*RETRY_MS)


def _jitter(seconds: float) -> float:
    return seconds * random.uniform(0.8, 1)


async def _drop_connection(receive: Receive) -> None:
    """Cut the connection of a viewer that reads nothing.

    An ordinary close waits until the buffered bytes are sent, which never happens here: the socket would stay open.
    ASGI has no message for it, so this searches for the server's transport behind the layers around `receive`. If it is
    not found, the server closes in the ordinary way.
    """
    layer: object = receive
    for _ in range(16):
        owner = getattr(layer, "__self__", None)
        if (transport := getattr(owner, "transport", None)) is not None:
            transport.abort()
            # Wait for the server to report it; a response that ends before that is logged as an application error.
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
