"""`POST /reservations` without the framework, when everything about the request is as it should be.

The route in api.py is the contract: it is what the OpenAPI document shows, and it answers whatever is unusual here (no
token, a wrong body, another content type) in its own words. This way round only what is right is answered by hand, so
the two can't disagree about what is wrong.
"""

from types import SimpleNamespace

from pydantic import ValidationError
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ticketing.infra import app_state, log, security
from ticketing.infra.errors import TicketingError
from ticketing.infra.http import error_handlers, request_limits
from ticketing.infra.security import access_tokens
from ticketing.modules.reservations.hold.batcher import Holds
from ticketing.modules.reservations.hold.requests import Answer, HoldRequest
from ticketing.modules.reservations.schemas import HoldSeats

PATH = "/api/v1/reservations"

_ROUTE = SimpleNamespace(path=PATH)
#: As `idempotency.fingerprint_of` does it: whichever way a retry comes, it is the same request.
_FINGERPRINTED = f"{PATH}?\n".encode()
_NEEDED = (b"authorization", b"idempotency-key", b"content-type")
_JSON = (b"content-type", b"application/json")
_REPLAYED = (b"idempotency-replayed", b"true")


def rendered(answer: Answer) -> Response:
    """The answer as the framework sends it."""
    headers = {"Idempotency-Replayed": "true"} if answer.is_replay else {}
    if answer.retry_after_seconds is not None:
        headers["Retry-After"] = str(answer.retry_after_seconds)
    return Response(answer.body, answer.status, headers, media_type="application/json")


class QuickHolds:
    """Plain ASGI, just before the router: holds that are well asked for are answered here, all else goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        body = await request_limits.read_body(receive)
        request = _read(scope, body)
        if request is None:
            await self.app(scope, request_limits.replay(body, receive), send)
            return
        scope["route"] = _ROUTE
        holds = app_state.of(scope["app"]).get(Holds)
        try:
            answer = await holds.submit(request)
        except TicketingError as error:
            await error_handlers.render(error)(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
            await send({"type": "http.response.body", "body": answer.body})


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-length", str(len(answer.body)).encode()), _JSON]
    if answer.is_replay:
        headers.append(_REPLAYED)
    return headers


def _read(scope: Scope, body: bytes) -> HoldRequest | None:
    """What is wanted, by whom; None when anything about it is unusual."""
    if scope["query_string"]:
        return None
    found = [pair for pair in scope["headers"] if pair[0] in _NEEDED]
    headers = dict(found)
    if len(found) != len(_NEEDED) or len(headers) != len(_NEEDED) or headers[b"content-type"] != b"application/json":
        return None
    scheme, _, token = headers[b"authorization"].decode("latin-1").partition(" ")
    key = headers[b"idempotency-key"].decode("latin-1")
    if scheme != "Bearer" or not key:
        return None
    try:
        claims = access_tokens.check_token(token)
        wanted = HoldSeats.model_validate_json(body)
    except (TicketingError, ValidationError):
        return None
    log.actor.set(f"user:{claims.user_id}")
    return wanted.as_request(claims.user_id, key, security.keyed_digests(_FINGERPRINTED + body))
