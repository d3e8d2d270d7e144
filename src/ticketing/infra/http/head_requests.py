"""HEAD for every GET route: the route runs as for a GET, and its headers are sent without a body (RFC 9110, 9.3.2)."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_IS_HEAD = "is_head_request"


def is_head(scope: Scope) -> bool:
    """Whether the client has asked for headers only. For responses without an end, which must not begin."""
    return bool(scope.get(_IS_HEAD))


class HeadRequests:
    """ASGI middleware. The document has no HEAD operations: they follow from those of GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        # A copy: the server reads the method again when it writes the response.
        as_get = {**scope, "method": "GET", _IS_HEAD: True}

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                if message.get("more_body"):
                    return
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        try:
            await self.app(as_get, receive, send_head)
        finally:
            # For the log line and the metric of the request.
            if "route" in as_get:
                scope["route"] = as_get["route"]
