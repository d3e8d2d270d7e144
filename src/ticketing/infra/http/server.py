"""uvicorn's configuration, with limits that it lacks: size and duration of a request's head, duration of a response."""

import asyncio
import signal
import socket
import time
from types import FrameType
from typing import Any, TypeVar
from uuid import uuid4

import orjson
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from ticketing.infra.app_state import AppState
from ticketing.infra.config import Settings, get_settings
from ticketing.infra.http.close_delimited import VERSIONS, CloseDelimited
from ticketing.infra.http.send_timeout import SendTimeout
from ticketing.infra.system import garbage_collection

DRAIN_SECONDS = 10
"""How long a stopping API process lets running requests finish; open event streams are then closed."""
#: Bytes received before a body starts. `request_limits.check_head` has the exact limits and a better error response.
UNPARSED_BYTES_MAX = 64 * 1024
#: A connection that has not sent a complete request head within this time is closed.
HEAD_SECONDS = 15.0
#: A stopping process accepts one more request per open connection within this time: it may already be in transit.
LAST_REQUEST_SECONDS = 0.5


T = TypeVar("T")


class Shutdown(asyncio.Event):
    """Set when the process stops, before it waits for running requests."""

    #: The process has been told to stop, and still accepts requests for SHUTDOWN_DRAIN_SECONDS.
    is_draining = False


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits: its parser buffers a header of any size and waits for it indefinitely."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unparsed_bytes = 0
        self._head_timeout: asyncio.TimerHandle | None = None
        self.is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._send_timeout = SendTimeout(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._send_timeout.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timeout.start()

    def resume_writing(self) -> None:
        self._send_timeout.stop()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        # The response is complete, and the client has not taken all of it: a close would wait for that.
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def data_received(self, data: bytes) -> None:
        # Counted before parsing, and reset whenever the parser makes progress: a complete head, a chunk of a body.
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > UNPARSED_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(_refusal())
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_timeout is None:  # the first timeout starts with the connection
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        self._unparsed_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()
        if self.is_ending:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed_bytes = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] in VERSIONS:
            app = CloseDelimited(app, cycle)
        super()._start_asgi_task(cycle, app)

    def shutdown(self) -> None:
        """Close the connection gracefully. uvicorn would close an idle connection at once, and lose unread data."""
        self.is_ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_REQUEST_SECONDS, self._end_idle)
        else:
            super().shutdown()

    def _end_idle(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _wait_for_head(self) -> None:
        self._head_timeout = self.loop.call_later(HEAD_SECONDS, self._on_head_timeout)

    def _stop_waiting(self) -> None:
        if self._head_timeout is not None:
            self._head_timeout.cancel()
            self._head_timeout = None

    def _on_head_timeout(self) -> None:
        self._head_timeout = None
        if not self.transport.is_closing():
            self.transport.close()


def _refusal() -> bytes:
    """Return a raw 431 response: the request never reaches the middleware."""
    message, correlation_id = "The request's headers are too large or too many.", uuid4().hex
    errors = [{"code": "headers_too_large", "message": message}]
    meta = {"correlation_id": correlation_id}
    body = orjson.dumps({"success": False, "message": message, "errors": errors, "meta": meta})
    head = (
        "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"X-Correlation-ID: {correlation_id}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Server(uvicorn.Server):
    """uvicorn's server, which serves for a while after SIGTERM: a load balancer has to notice that it is not ready."""

    _drained_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        garbage_collection.rest()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        seconds = self._drain_seconds()
        if sig != signal.SIGTERM or not seconds or self._drained_at is not None:
            super().handle_exit(sig, frame)
            return
        self._drained_at = time.monotonic() + seconds
        if (shutdown := self._find(Shutdown)) is not None:
            shutdown.is_draining = True

    async def on_tick(self, counter: int) -> bool:
        if self._drained_at is not None and time.monotonic() >= self._drained_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Set before waiting for running requests, so that long polls return at once.
        if (shutdown := self._find(Shutdown)) is not None:
            shutdown.set()
        await super().shutdown(sockets)

    def _drain_seconds(self) -> float:
        settings = self._find(Settings)
        return settings.shutdown_drain_seconds if settings is not None else 0

    def _find(self, kind: type[T]) -> T | None:
        app = self.config.loaded_app
        state = app.state if isinstance(app, Starlette) else None
        return state.find(kind) if isinstance(state, AppState) else None


def run(factory: str, listener: socket.socket) -> bool:
    """Serve requests in this process until SIGINT or SIGTERM. Return False when the server did not start.

    `factory` is the import string of the function that creates the application: "module:function".
    """
    # uvicorn raises the signal again after draining; ignored, because a requested stop is not a failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    garbage_collection.pause()
    server = _Server(configure(factory, factory=True))
    server.run(sockets=[listener])
    return server.started


def configure(app: Any, **options: Any) -> uvicorn.Config:
    """Return the configuration shared by every server of the platform."""
    return uvicorn.Config(
        app,
        **{
            "loop": "uvloop",
            "http": BoundedProtocol,
            "ws": "none",
            "access_log": False,
            "log_config": None,
            "server_header": False,
            # RequestContext is the only place that reads proxy headers, according to TRUSTED_PROXIES.
            "proxy_headers": False,
            "timeout_keep_alive": get_settings().keep_alive_seconds,
            "timeout_graceful_shutdown": DRAIN_SECONDS,
            **options,
        },
    )
