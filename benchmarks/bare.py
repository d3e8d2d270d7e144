"""A server that answers every request with the same bytes: the same uvicorn and settings, without an application."""

import sys
from typing import Any

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from ticketing.infra.app_state import AppState
from ticketing.infra.config import get_settings
from ticketing.infra.http import server as http_server
from ticketing.infra.http.server import Shutdown
from ticketing.infra.system.ports import listen

#: About as long as the body of a short response.
BODY = b'{"success":true,"message":"OK","data":{"text":"%s"},"meta":null}' % (b"x" * 400)
START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())],
}


class Bare(Starlette):
    """The class is that of an application, for the server; requests reach nothing of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        await send(START)
        await send({"type": "http.response.body", "body": BODY})


def create_app() -> Starlette:
    app = Bare()
    app.state = AppState(get_settings(), Shutdown())
    return app


if __name__ == "__main__":
    http_server.run("benchmarks.bare:create_app", listen("127.0.0.1", int(sys.argv[1])))
