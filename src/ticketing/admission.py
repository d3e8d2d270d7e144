"""What every request passes before anything of it is believed: bounds on its size, and the limits of its lane.

No database is asked here, so what is refused costs next to nothing; what is let in has cost one round trip to Redis.
"""

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import app_state, metrics, security
from ticketing.infra.errors import BadRequest, TicketingError
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.http.rate_limiter import Limiter, Verdict
from ticketing.rate_limits import MIB, Visit, buckets_of, visit_of


class TooMany(TicketingError):
    """These are too many requests at once; please wait a moment and try again."""

    status, code = 429, "rate_limited"

    def __init__(self, verdict: Verdict, lane: str) -> None:
        super().__init__(limit=verdict.bucket.name, lane=lane)
        self.retry_after_seconds = verdict.retry_after_seconds


class Gate:
    """ASGI middleware before the router. Rate limits need the `Limiter` in `app.state`; RATE_LIMITS=off has none."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        admission = _Admission(scope, receive)
        try:
            receive = await admission.admit()
        except TicketingError as error:
            await error_handlers.render(error)(scope, receive, admission.telling(send))
        except HTTPException as error:
            await error_handlers.render_http(error)(scope, receive, admission.telling(send))
        else:
            await self.app(scope, receive, admission.telling(send))


class _Admission:
    """One request at the gate."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self.receive = scope, receive
        self.visit = visit_of(scope["method"], scope["path"])
        self.verdict: Verdict | None = None

    async def admit(self) -> Receive:
        """What the request's body can be read from.

        Raises:
            TooMany: one of its limits is used up.
            TicketingError, HTTPException: it is larger, deeper or slower than it may be.
        """
        request_limits.check_head(self.scope)
        limiter = app_state.of(self.scope["app"]).find(Limiter)
        caller = security.identify(Request(self.scope)) if limiter or self.visit.body_bytes_max > MIB else ""
        if not request_limits.has_body(self.scope):
            # The server's own `receive` goes on: see realtime's slow viewers.
            await self._count(limiter, caller, "")
            return self.receive
        limited = request_limits.limited(self.scope, self.receive, _bytes_max(self.visit, caller))
        if self.visit.names_in_body:
            body = await _read_json(self.scope, limited)
            await self._count(limiter, caller, _named(self.visit, body))
            return request_limits.replay(body, self.receive)
        await self._count(limiter, caller, "")
        if self.visit.is_streamed:
            return limited
        return request_limits.replay(await _read_json(self.scope, limited), self.receive)

    async def _count(self, limiter: Limiter | None, caller: str, named: str) -> None:
        lane = self.visit.lane
        if limiter is None or lane is None:
            return
        client = self.scope.get("client")
        buckets = buckets_of(self.visit, client[0] if client else "", caller, named)
        self.verdict = await limiter.check(buckets, is_kept_without_redis=lane.is_kept_without_redis)
        if self.verdict is not None and not self.verdict.is_allowed:
            metrics.RATE_LIMITED.labels(lane.name, self.verdict.bucket.name).inc()
            raise TooMany(self.verdict, lane.name)

    def telling(self, send: Send) -> Send:
        """Add the RateLimit fields to the answer, when the request was counted."""
        verdict = self.verdict
        if verdict is None:
            return send

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *verdict.headers]
            await send(message)

        return send_with_limits


def _bytes_max(visit: Visit, caller: str) -> int:
    # What is large is sent by people at work; nobody else gets that much of our memory.
    return min(visit.body_bytes_max, MIB) if caller == "anonymous" else visit.body_bytes_max


async def _read_json(scope: Scope, receive: Receive) -> bytes:
    body = await request_limits.read_body(receive)
    media = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    if b"json" in media and request_limits.is_too_deep(body):
        raise BadRequest(f"The request body is not valid JSON, or nested deeper than {request_limits.DEPTH_MAX}.")
    return body


def _named(visit: Visit, body: bytes) -> str:
    """The event, or a fingerprint of the e-mail address, that a body names; empty when it names none."""
    try:
        name = orjson.loads(body)[visit.names_in_body]
    except (ValueError, KeyError, TypeError, IndexError):
        return ""
    if not isinstance(name, str):
        return ""
    if visit.names_in_body == "email":
        return security.keyed_digest(name.strip().casefold().encode())[:16].hex()
    return name
