"""What every request passes: a correlation id, a limit on its body, security headers, one metric and one log line."""

import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import log, metrics

_SANE_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
#: Probes and scrapes come every few seconds and say nothing.
_UNLOGGED = ("/health", "/metrics", "/static")

_log = log.get_logger("ticketing.http")


class RequestContext:
    """Plain ASGI: it costs a request nothing but itself, and leaves streams alone."""

    def __init__(self, app: ASGIApp, body_bytes_max: int) -> None:
        self.app, self.body_bytes_max = app, body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        correlation_id = headers.get("x-correlation-id", "")
        if not _SANE_ID.fullmatch(correlation_id):
            correlation_id = uuid4().hex
        traceparent = headers.get("traceparent", "")
        log.correlation_id.set(correlation_id)
        log.traceparent.set(traceparent if _TRACEPARENT.fullmatch(traceparent) else "")
        log.actor.set("")
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                out = MutableHeaders(scope=message)
                out["X-Correlation-ID"] = correlation_id
                out.setdefault("X-Content-Type-Options", "nosniff")
                out.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self.app(scope, _limited(receive, headers, self.body_bytes_max), send_with_id)
        finally:
            _tell(scope, status, time.perf_counter() - started)


def _limited(receive: Receive, headers: Headers, bytes_max: int) -> Receive:
    """Stop reading a body that is, or says it is, too long. The framework's own limit answers in plain text."""
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        # There is no body (RFC 9112 §6.3), and a stream wants the server's own `receive`: see realtime's slow viewers.
        return receive
    announced = headers.get("content-length", "")
    is_too_long = announced.isdecimal() and int(announced[:20]) > bytes_max
    received = 0

    async def receive_limited() -> Message:
        nonlocal received
        if is_too_long:
            raise HTTPException(413)
        message = await receive()
        received += len(message.get("body", b""))
        if received > bytes_max:
            raise HTTPException(413)
        return message

    return receive_limited


def _tell(scope: Scope, status: int, seconds: float) -> None:
    # The route's template, never the path: a path has ids in it, and a metric per id is a leak.
    route = getattr(scope.get("route"), "path", "unmatched")
    metrics.REQUESTS.labels(scope["method"], route, str(status)).inc()
    metrics.REQUEST_SECONDS.labels(scope["method"], route).observe(seconds)
    if not scope["path"].startswith(_UNLOGGED):
        _log.info("request", method=scope["method"], route=route, status=status, ms=round(seconds * 1000, 1))
