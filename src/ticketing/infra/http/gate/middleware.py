"""Puts requests through the gate, before everything that costs time."""

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ticketing.infra.errors import Overloaded
from ticketing.infra.http import error_handlers
from ticketing.infra.http.gate.gate import Gate, Turn, connection_of

#: Returns None for requests that never wait. It sees the scope and what has arrived of the body.
Classify = Callable[[Scope, bytes | bytearray], Turn | None]


class GateMiddleware:
    """ASGI middleware before everything that costs time."""

    def __init__(self, app: ASGIApp, gate: Gate, classify: Classify) -> None:
        self.app, self._gate, self._classify = app, gate, classify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        turn = self._classify(scope, _arrived(receive)) if scope["type"] == "http" else None
        if turn is None:
            await self.app(scope, receive, send)
            return
        try:
            place = await self._gate.enter(turn, receive)
        except Overloaded as error:
            await error_handlers.render(error)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        finally:
            self._gate.leave(place)


def _arrived(receive: Receive) -> bytes | bytearray:
    """What has arrived of the body, without waiting for it: a small body arrives with the head."""
    body: bytes | bytearray = getattr(connection_of(receive), "body", b"")
    return body
