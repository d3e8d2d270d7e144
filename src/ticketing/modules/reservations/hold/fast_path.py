"""`POST /reservations` without the framework's overhead, for well-formed requests.

The route in api.py defines the contract: the OpenAPI document describes it, and every unusual request (no token, an
invalid body, another content type) falls through to it. Errors about a request are therefore reported in one place.
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
from ticketing.modules.reservations.hold.pending import HoldResponse
from ticketing.modules.reservations.hold_request import HoldRequest
from ticketing.modules.reservations.schemas import HoldSeats

PATH = "/api/v1/reservations"

_ROUTE = SimpleNamespace(path=PATH)
#: The prefix that `idempotency.fingerprint_of` hashes: a retry has the same fingerprint on either path.
_FINGERPRINT_PREFIX = f"{PATH}?\n".encode()
_REQUIRED = (b"authorization", b"idempotency-key", b"content-type")
_JSON = (b"content-type", b"application/json")
_REPLAYED = (b"idempotency-replayed", b"true")


def as_response(response: HoldResponse) -> Response:
    """The response for the ordinary route."""
    headers = {"Idempotency-Replayed": "true"} if response.is_replay else {}
    if response.retry_after_seconds is not None:
        headers["Retry-After"] = str(response.retry_after_seconds)
    return Response(response.body, response.status, headers, media_type="application/json")


class FastPathHolds:
    """ASGI middleware just before the router: handles well-formed holds and passes on every other request."""

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
            response = await holds.submit(request)
        except TicketingError as error:
            await error_handlers.render(error)(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": response.status, "headers": _headers(response)})
            await send({"type": "http.response.body", "body": response.body})


def _headers(response: HoldResponse) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-length", str(len(response.body)).encode()), _JSON]
    if response.is_replay:
        headers.append(_REPLAYED)
    return headers


def _read(scope: Scope, body: bytes) -> HoldRequest | None:
    """The request for a hold; None when anything about the HTTP request is unusual."""
    if scope["query_string"]:
        return None
    found = [pair for pair in scope["headers"] if pair[0] in _REQUIRED]
    headers = dict(found)
    if (
        len(found) != len(_REQUIRED)
        or len(headers) != len(_REQUIRED)
        or headers[b"content-type"] != b"application/json"
    ):
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
    return wanted.as_request(claims.user_id, key, security.keyed_digests(_FINGERPRINT_PREFIX + body))
