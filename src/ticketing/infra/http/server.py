"""The HTTP server's settings, and the bounds that it does not bring: how long and how large a request's head may be."""

import asyncio
import signal
import socket
from typing import Any
from uuid import uuid4

import orjson
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ticketing.infra.app_state import AppState
from ticketing.infra.system import garbage_collection

DRAIN_SECONDS = 10
"""How long a stopping API process lets running requests finish; open event streams are cut after it."""
#: Of what has arrived and is no part of a body yet. The exact limits are `bounds.check_head`'s, which answers better.
UNPARSED_BYTES_MAX = 64 * 1024
#: A connection that has sent no whole head by then was not opened to ask for something.
HEAD_SECONDS = 15.0
#: A stopping process takes one request more on an open connection: it may have been under way when it was told to stop.
LAST_REQUEST_SECONDS = 0.5


class Shutdown(asyncio.Event):
    """Set when the process has been told to stop, before it waits for running requests."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose parser would otherwise collect a header without end, and wait for it for ever."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._unparsed_bytes = 0
        self._patience: asyncio.TimerHandle | None = None
        self.is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        # Counted before the parser sees it, and begun afresh at each step that it gets on: a head, a piece of a body.
        self._unparsed_bytes += len(data)
        super().data_received(data)
        if self._unparsed_bytes > UNPARSED_BYTES_MAX and not self.transport.is_closing():
            self.transport.write(_refusal())
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._patience is None:  # the first wait began with the connection
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

    def shutdown(self) -> None:
        """The process is to stop. uvicorn's own closes an idle connection at once, with what lies unread in it."""
        self.is_ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_REQUEST_SECONDS, self._end_idle)
        else:
            super().shutdown()

    def _end_idle(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def _wait_for_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self._end_patience)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _end_patience(self) -> None:
        self._patience = None
        if not self.transport.is_closing():
            self.transport.close()


def _refusal() -> bytes:
    """No request has come of this, so no middleware will answer it."""
    words, correlation_id = "The request's headers are too large or too many.", uuid4().hex
    errors = [{"code": "headers_too_large", "message": words}]
    meta = {"correlation_id": correlation_id}
    body = orjson.dumps({"success": False, "message": words, "errors": errors, "meta": meta})
    head = (
        "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: application/json\r\nConnection: close\r\n"
        f"X-Correlation-ID: {correlation_id}\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        garbage_collection.rest()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Set before waiting for running requests, so that long polls return at once.
        app = self.config.loaded_app
        state = app.state if isinstance(app, Starlette) else None
        if isinstance(state, AppState) and (shutdown := state.find(Shutdown)) is not None:
            shutdown.set()
        await super().shutdown(sockets)


def run(factory: str, listener: socket.socket) -> bool:
    """Answer requests in this process until SIGINT or SIGTERM; False when it did not start.

    `factory` makes the application: "module:function".
    """
    # uvicorn sends itself the signal once more when it has drained; being told to stop is no failure.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    garbage_collection.pause()
    server = _Server(configure(factory, factory=True))
    server.run(sockets=[listener])
    return server.started


def configure(app: Any, **options: Any) -> uvicorn.Config:
    """What every server of ours is started with."""
    return uvicorn.Config(
        app,
        **{
            "loop": "uvloop",
            "http": BoundedProtocol,
            "ws": "none",
            "access_log": False,
            "log_config": None,
            "server_header": False,
            # Whom to believe is decided by TRUSTED_PROXIES, in one place: RequestContext.
            "proxy_headers": False,
            "timeout_graceful_shutdown": DRAIN_SECONDS,
            **options,
        },
    )
