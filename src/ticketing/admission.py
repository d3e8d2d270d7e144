"""Admission: size limits and rate limits, checked before routing and authentication.

No database is involved: a refused request costs next to nothing, an admitted one a single round trip to Redis.
"""

import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import app_state, metrics, security
from ticketing.infra.email_addresses import normalize_email
from ticketing.infra.errors import BadRequest, TicketingError
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.http.fields import find_email
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
            body = await request_limits.read_body(limited)
            try:
                _check_body(self.scope, body, values_max)
                named = _named(self.scope, self.policy, body)
            except (BadRequest, HTTPException):
                await self._count(limiter, caller, "")
                raise
            await self._count(limiter, caller, named)
            return request_limits.replay(body, self.receive)
        await self._count(limiter, caller, "")
        if self.policy.is_streamed:
            return limited
        body = await request_limits.read_body(limited)
        _check_body(self.scope, body, values_max)
        return request_limits.replay(body, self.receive)

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


def _check_body(scope: Scope, body: bytes, values_max: int) -> None:
    # Whatever the media type says: the framework's reading of it decides later whether this is parsed as JSON.
    if request_limits.is_too_deep(body):
        raise BadRequest(f"The request body is not valid JSON, or nested deeper than {request_limits.DEPTH_MAX}.")
    if request_limits.has_too_many_values(body, values_max):
        raise HTTPException(413)
    if _is_json(scope):
        request_limits.check_encoding(body)


def _is_json(scope: Scope) -> bool:
    """Whether the framework might read the body as JSON; a route that expects JSON refuses every other body."""
    media = next((value for name, value in scope["headers"] if name == b"content-type"), b"")
    return b"json" in media.lower()


def _named(scope: Scope, policy: RequestPolicy, body: bytes) -> str:
    """Return the event id, or a digest of the mailbox, in a body; empty when there is none.

    The body is parsed by the function that the framework uses later, and the address by the type of the route's field:
    any difference between the two is a spelling that the route understands and no limit counts.

    Raises:
        BadRequest: it is not valid JSON.
    """
    if not _is_json(scope):
        return ""
    try:
        content = json.loads(body)
    except ValueError:
        raise BadRequest("The request body is not valid JSON.") from None
    name = content.get(policy.counted_field) if isinstance(content, dict) else None
    if policy.counted_field == "email":
        email = find_email(name)
        return "" if email is None else security.keyed_digest(normalize_email(email).encode())[:16].hex()
    return name if isinstance(name, str) else ""
