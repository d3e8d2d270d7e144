"""Per-request context: correlation id, client address, security headers, one metric and one log line."""

import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import log, metrics
from ticketing.infra.config import Settings, trusted_proxies
from ticketing.infra.http import security_headers

_VALID_ID = re.compile(r"[A-Za-z0-9._:\-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
#: The request headers read here.
_READ = {b"x-correlation-id", b"traceparent", b"user-agent"}
#: Probes and scrapes arrive every few seconds and would only fill the log.
_UNLOGGED = ("/health", "/metrics", "/static")

USER_AGENT_LENGTH_MAX = 200


class RequestContext:
    """Plain ASGI middleware: cheaper than BaseHTTPMiddleware, and it does not buffer streams."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.trusted_proxies = trusted_proxies.parse_networks(settings.trusted_proxies)
        self.defaults = security_headers.defaults(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _READ}
        correlation_id = headers.get(b"x-correlation-id", "")
        if not _VALID_ID.fullmatch(correlation_id):
            correlation_id = f"{random.getrandbits(128):032x}"
        traceparent = headers.get(b"traceparent", "")
        log.correlation_id.set(correlation_id)
        log.traceparent.set(traceparent if _TRACEPARENT.fullmatch(traceparent) else "")
        log.actor.set("")
        # The only place that trusts proxy headers; rate limits and the audit log read the address from the scope.
        scope["client"] = trusted_proxies.client_of(scope, self.trusted_proxies)
        log.client_address.set(scope["client"][0] if scope.get("client") else "")
        log.user_agent.set(_readable(headers.get(b"user-agent", ""))[:USER_AGENT_LENGTH_MAX])
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                named = [*message["headers"], (b"x-correlation-id", correlation_id.encode())]
                message["headers"] = security_headers.complete(named, self.defaults)
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            _record_request(scope, status, time.perf_counter() - started)


def _readable(text: str) -> str:
    """Remove unprintable characters: Postgres rejects some of them, and they are invisible in the audit log."""
    return text if text.isprintable() else "".join(character for character in text if character.isprintable())


def _record_request(scope: Scope, status: int, seconds: float) -> None:
    # The route's template, not the path: paths contain ids, and a metric per id would grow without bound.
    route = getattr(scope.get("route"), "path", "unmatched")
    metrics.count_request(scope["method"], route, status, seconds)
    if not scope["path"].startswith(_UNLOGGED):
        log.log_request(scope["method"], route, status, round(seconds * 1000, 1))
