"""Maps answered before anything else is asked: no limits, no routing and no database for what is at hand."""

import re
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticketing.infra import app_state, log
from ticketing.infra.errors import TicketingError, Unauthenticated
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.security import access_tokens
from ticketing.modules.realtime import metrics
from ticketing.modules.realtime.response_cache.cache import ROOT, Copies
from ticketing.modules.realtime.response_cache.responses import Form

#: The browser's pages ask for the layout by its version, so that a new one is not taken for the old; we ignore it.
_QUERY = re.compile(rb"(plan=[0-9]{1,9})?")
#: What makes a request one for the ordinary route: a part, a condition, a body.
_UNUSUAL = frozenset(
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
    """What a request's metric and log line are named after."""

    path: str


class Wish(NamedTuple):
    """What a request says about the form of its answer."""

    question: str
    accept_encoding: bytes
    if_none_match: bytes


class FromMemory:
    """Plain ASGI, between the request's context and the gate. Without `Copies` in `app.state`, every request passes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wish = wish_of(scope)
        copies = app_state.of(scope["app"]).find(Copies) if wish else None
        if wish is None or copies is None:
            await self.app(scope, receive, send)
            return
        try:
            copy = await copies.take(scope["path"])
        except TicketingError as error:
            scope["route"] = _route(wish)
            await error_handlers.render(error)(scope, receive, send)
            return
        form = copy.select(wish.accept_encoding, wish.if_none_match) if copy else None
        if form is not None:
            scope["route"] = _route(wish)
            await _send(form, wish.question, send)
            return
        await self.app(scope, receive, _watching(copies, scope["path"], wish.question, send))


def wish_of(scope: Scope) -> Wish | None:
    """None for a request that is not for a map, or not a plain one of somebody unknown."""
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(ROOT):
        return None
    question = scope["path"].removeprefix(ROOT).partition("/")[2]
    query = scope["query_string"]
    if question not in _ROUTES or (query and not (question == "seatmap" and _QUERY.fullmatch(query))):
        return None
    accept_encoding = if_none_match = token = b""
    for name, value in scope["headers"]:
        if name in _UNUSUAL:
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
        return None  # the gate refuses it
    if token and not _is_valid(token):
        return None
    return Wish(question, accept_encoding, if_none_match)


def _is_valid(credentials: bytes) -> bool:
    """Whether somebody has logged in with them, for whom a public map is what it is for strangers."""
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


def _route(wish: Wish) -> Route:
    return _ROUTES[wish.question]


async def _send(form: Form, question: str, send: Send) -> None:
    if form.status == 304:
        metrics.NOT_MODIFIED.labels(question).inc()
    await send({"type": "http.response.start", "status": form.status, "headers": form.headers})
    await send({"type": "http.response.body", "body": form.body})


def _watching(copies: Copies, path: str, question: str, send: Send) -> Send:
    """What everybody is shown once is copied from then on."""

    async def watch(message: Message) -> None:
        is_answer = message["type"] == "http.response.start" and message["status"] in (200, 304)
        if is_answer and (not question or any(name == b"etag" for name, _ in message["headers"])):
            copies.open(path)
        await send(message)

    return watch
