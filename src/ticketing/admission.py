"""Admission: size limits and rate limits, checked before routing and authentication.

No database is involved: a refused request costs next to nothing, an admitted one a single round trip to Redis.
"""

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import app_state, metrics, security
from ticketing.infra.errors import BadRequest, TicketingError
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.http.rate_limiter import RateLimiter, Verdict
from ticketing.rate_limits import MIB, RequestPolicy, buckets_of, policy_of


class RateLimited(TicketingError):
    """There were too many requests; please wait a moment and try again."""

    status, code = 429, "rate_limited"

    def __init__(self, verdict: Verdict, limit_class: str) -> None:
        super().__init__(limit=verdict.bucket.name, lane=limit_class)
        self.retry_after_seconds = verdict.retry_after_seconds


class Admission:
    """ASGI middleware before the router. `app.state` has a `RateLimiter` unless RATE_LIMITS is off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        admission = _RequestAdmission(scope, receive)
        try:
            receive = await admission.admit()
        except TicketingError as error:
            await error_handlers.render(error)(scope, receive, admission.add_headers(send))
        except HTTPException as error:
            await error_handlers.render_http(error)(scope, receive, admission.add_headers(send))
        else:
            await self.app(scope, receive, admission.add_headers(send))


class _RequestAdmission:
    """The checks of one request."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self.receive = scope, receive
        self.policy = policy_of(scope["method"], scope["path"])
        self.verdict: Verdict | None = None

    async def admit(self) -> Receive:
        """Check the request and return the `receive` from which its body is read.

        Raises:
            RateLimited: one of its limits is exceeded.
            TicketingError, HTTPException: it is larger, nested deeper or slower than allowed.
        """
        request_limits.check_head(self.scope)
        limiter = app_state.of(self.scope["app"]).find(RateLimiter)
        caller = security.identify(Request(self.scope)) if limiter or self.policy.body_bytes_max > MIB else ""
        if not request_limits.has_body(self.scope):
            # The server's own `receive`: realtime finds the transport behind it to disconnect slow viewers.
            await self._count(limiter, caller, "")
            return self.receive
        limited = request_limits.limited(self.scope, self.receive, _bytes_max(self.policy, caller))
        values_max = self.policy.values_max
        if self.policy.counted_field:
            body = await _read_json(limited, values_max)
            await self._count(limiter, caller, _named(self.policy, body))
            return request_limits.replay(body, self.receive)
        await self._count(limiter, caller, "")
        if self.policy.is_streamed:
            return limited
        return request_limits.replay(await _read_json(limited, values_max), self.receive)

    async def _count(self, limiter: RateLimiter | None, caller: str, named: str) -> None:
        limits = self.policy.limits
        if limiter is None or limits is None:
            return
        client = self.scope.get("client")
        buckets = buckets_of(self.policy, client[0] if client else "", caller, named)
        self.verdict = await limiter.check(buckets, is_kept_without_redis=limits.is_kept_without_redis)
        if self.verdict is not None and not self.verdict.is_allowed:
            metrics.RATE_LIMITED.labels(limits.name, self.verdict.bucket.name).inc()
            raise RateLimited(self.verdict, limits.name)

    def add_headers(self, send: Send) -> Send:
        """Wrap `send` so that the response to a counted request has the RateLimit header fields."""
        verdict = self.verdict
        if verdict is None:
            return send

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *verdict.headers]
            await send(message)

        return send_with_limits


def _bytes_max(policy: RequestPolicy, caller: str) -> int:
    # Large bodies are sent by organizers only; anonymous callers cannot make the process buffer more than 1 MiB.
    return min(policy.body_bytes_max, MIB) if caller == "anonymous" else policy.body_bytes_max


async def _read_json(receive: Receive, values_max: int) -> bytes:
    # Whatever the media type says: the framework's reading of it decides later whether this is parsed as JSON.
    body = await request_limits.read_body(receive)
    if request_limits.is_too_deep(body):
        raise BadRequest(f"The request body is not valid JSON, or nested deeper than {request_limits.DEPTH_MAX}.")
    if request_limits.has_too_many_values(body, values_max):
        raise HTTPException(413)
    return body


def _named(policy: RequestPolicy, body: bytes) -> str:
    """Return the event id, or a digest of the email address, in a body; empty when there is none."""
    try:
        name = orjson.loads(body)[policy.counted_field]
    except (ValueError, KeyError, TypeError, IndexError):
        return ""
    if not isinstance(name, str):
        return ""
    if policy.counted_field == "email":
        return security.keyed_digest(name.strip().casefold().encode())[:16].hex()
    return name
