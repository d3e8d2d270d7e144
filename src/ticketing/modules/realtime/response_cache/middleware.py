"""Serve cached responses before rate limits, routing and the database."""

from collections.abc import Callable
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import app_state, log
from ticketing.infra.errors import TicketingError, Unauthenticated
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.http.caching.representations import Representation
from ticketing.infra.security import access_tokens
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.response_cache.cache import ResponseCache
from ticketing.modules.realtime.response_cache.targets import Target, find_target

#: Headers of requests for the ordinary route: ranges, conditions, bodies.
_UNCACHEABLE_HEADERS = frozenset(
    {
        b"range",
        b"if-match",
        b"if-unmodified-since",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    }
)


class CacheableRequest(NamedTuple):
    """A request that a cached response can serve: its target, and the headers that select the representation."""

    target: Target
    accept_encoding: bytes
    if_none_match: bytes


class ResponseCacheMiddleware:
    """ASGI middleware before admission. Without a `ResponseCache` in `app.state`, it passes every request on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = parse_request(scope)
        cache = app_state.of(scope["app"]).find(ResponseCache) if wanted else None
        if wanted is None or cache is None:
            await self.app(scope, receive, send)
            return
        target = wanted.target
        try:
            representation = await _find(cache, wanted)
        except TicketingError as error:
            scope["route"] = target.route
            await error_handlers.render(error)(scope, receive, send)
            return
        if representation is not None:
            scope["route"] = target.route
            await _send(representation, target, send)
            return
        with cache.first_request(target.key) as is_served:
            await self.app(scope, receive, _caching_after(cache, target, is_served, send))


async def _find(cache: ResponseCache, wanted: CacheableRequest) -> Representation | None:
    key = wanted.target.key
    response = await cache.get(key)
    if response is None and await cache.wait_for_first_request(key):
        response = await cache.get(key)
    return response and response.representations.select(wanted.accept_encoding, wanted.if_none_match)


def parse_request(scope: Scope) -> CacheableRequest | None:
    """None for a request that a cached response can't serve."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    target = find_target(scope["path"], scope["query_string"])
    if target is None:
        return None
    accept_encoding = if_none_match = token = b""
    for name, value in scope["headers"]:
        if name in _UNCACHEABLE_HEADERS:
            return None
        if name == b"accept-encoding":
            accept_encoding = value
        elif name == b"if-none-match":
            if_none_match = if_none_match + b"," + value if if_none_match else value
        elif name == b"authorization":
            if token:
                return None
            token = value
    if request_limits.is_head_too_large(scope):
        return None  # the admission middleware refuses it
    if token and not _is_valid(token):
        return None
    return CacheableRequest(target, accept_encoding, if_none_match)


def _is_valid(credentials: bytes) -> bool:
    """Whether the token is valid: logged-in users get the same public data."""
    scheme, _, token = credentials.decode("latin-1").partition(" ")
    if scheme != "Bearer":
        return False
    try:
        claims = access_tokens.check_token(token)
    except Unauthenticated:
        return False
    log.actor.set(f"user:{claims.user_id}")
    return True


async def _send(representation: Representation, target: Target, send: Send) -> None:
    if representation.status == 304:
        metrics.NOT_MODIFIED.labels(target.route.name).inc()
    await send({"type": "http.response.start", "status": representation.status, "headers": representation.headers})
    await send({"type": "http.response.body", "body": representation.body})


def _caching_after(cache: ResponseCache, target: Target, is_served: Callable[[], None], send: Send) -> Send:
    """Start to cache a target once the ordinary route has served it."""

    async def watched_send(message: Message) -> None:
        if message["type"] == "http.response.start":
            # A response without an ETag is one that the route could not fill.
            if message["status"] in (200, 304) and any(name == b"etag" for name, _ in message["headers"]):
                cache.add(target)
            is_served()
        await send(message)

    return watched_send
