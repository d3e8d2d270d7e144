"""Responses to HTTP/1.0: its clients do not know chunks (RFC 9112, 6.1), so the body ends with the connection."""

import os
import socket
import struct
from asyncio import Transport
from typing import Any

from starlette.types import Message, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

#: Versions whose clients cannot read `Transfer-Encoding: chunked`.
VERSIONS = {"0.9", "1.0"}


class CloseDelimited:
    """ASGI application around another one, for one request to uvicorn.

    uvicorn sends every body without a Content-Length in chunks, whatever the version of the request. It closes the
    connection after the response to such a request anyway, which marks the end of the body.
    """

    def __init__(self, app: Any, cycle: RequestResponseCycle) -> None:
        self._app, self._cycle = app, cycle
        self._has_length = True
        # An Expect header of HTTP/1.0 has to be ignored (RFC 9110, 10.1.1): the client may not know a 100 response.
        cycle.waiting_for_100_continue = False

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        async def send_unchunked(message: Message) -> None:
            self._prepare(message)
            await send(message)

        try:
            await self._app(scope, receive, send_unchunked)
        except BaseException:
            if self._cycle.response_started:
                # After an orderly close, the client would take an incomplete body for the whole.
                _reset(self._cycle.transport)
            raise

    def _prepare(self, message: Message) -> None:
        """Make uvicorn write this message's body as it is."""
        if message["type"] == "http.response.start":
            self._has_length = any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
            if not self._has_length:
                self._cycle.chunked_encoding = False
        elif not self._has_length:
            self._cycle.expected_content_length = len(message.get("body", b""))


def _reset(transport: Transport) -> None:
    """Close a connection so that its client sees an error."""
    # A copy of the descriptor: the loop's own object has not all methods of a socket.
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
