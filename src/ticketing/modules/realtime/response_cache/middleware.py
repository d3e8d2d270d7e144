"""Serve cached responses before rate limits, routing and the database."""

import re
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import app_state, log
from ticketing.infra.errors import TicketingError, Unauthenticated
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.security import access_tokens
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.response_cache.cache import ROOT, ResponseCache
from ticketing.modules.realtime.response_cache.responses import Representation

#: Pages append the plan's version to the layout's URL, so that browsers cache versions separately. Ignored here.
_QUERY = re.compile(rb"(plan=[0-9]{1,9})?")
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


class Route(NamedTuple):
    """The route that metrics and the access log name."""

    path: str


class CacheableRequest(NamedTuple):
    """A request that a cached response can serve: the resource, and the headers that select the representation."""

    resource: str
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
        try:
            response = await cache.get(scope["path"])
        except TicketingError as error:
            scope["route"] = _route(wanted)
            await error_handlers.render(error)(scope, receive, send)
            return
        representation = response.select(wanted.accept_encoding, wanted.if_none_match) if response else None
        if representation is not None:
            scope["route"] = _route(wanted)
            await _send(representation, wanted.resource, send)
            return
        await self.app(scope, receive, _caching_after(cache, scope["path"], wanted.resource, send))


def parse_request(scope: Scope) -> CacheableRequest | None:
    """None for a request that a cached response can't serve."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(ROOT):
        return None
    resource = scope["path"].removeprefix(ROOT).partition("/")[2]
    query = scope["query_string"]
    if resource not in _ROUTES or (query and not (resource == "seatmap" and _QUERY.fullmatch(query))):
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
    return CacheableRequest(resource, accept_encoding, if_none_match)


def _is_valid(credentials: bytes) -> bool:
    """Whether the token is valid: logged-in users get the same public map."""
    scheme, _, token = credentials.decode("latin-1").partition(" ")
    if scheme != "Bearer":
        return False
    try:
        claims = access_tokens.check_token(token)
    except Unauthenticated:
        return False
    log.actor.set(f"user:{claims.user_id}")
    return True


_ROUTES = {
    "": Route(f"{ROOT}{{event_id}}"),
    "availability": Route(f"{ROOT}{{event_id}}/availability"),
    "seatmap": Route(f"{ROOT}{{event_id}}/seatmap"),
}


def _route(wanted: CacheableRequest) -> Route:
    return _ROUTES[wanted.resource]


async def _send(representation: Representation, resource: str, send: Send) -> None:
    if representation.status == 304:
        metrics.NOT_MODIFIED.labels(resource).inc()
    await send({"type": "http.response.start", "status": representation.status, "headers": representation.headers})
    await send({"type": "http.response.body", "body": representation.body})


def _caching_after(cache: ResponseCache, path: str, resource: str, send: Send) -> Send:
    """Start to cache a path once the ordinary route has served it."""

    async def watched_send(message: Message) -> None:
        is_success = message["type"] == "http.response.start" and message["status"] in (200, 304)
        if is_success and (not resource or any(name == b"etag" for name, _ in message["headers"])):
            cache.add(path)
        await send(message)

    return watched_send
