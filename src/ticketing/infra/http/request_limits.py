"""A limit on everything that a client can send before we know who it is: head, address, body, depth and patience."""

import asyncio
import re

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from ticketing.infra.errors import BadRequest, TicketingError

HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100
ADDRESS_BYTES_MAX = 8 * 1024
PARAMETERS_MAX = 100
#: No body of ours is deeper than five.
DEPTH_MAX = 32
#: A body has so long to arrive, and a second more for each BODY_BYTES_PER_SECOND that did arrive.
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 32 * 1024

# Possessive, and every quote finds an end: a search that gives up may be made to begin again at every character.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
#: A client that is told so has no further use for its connection, and what it still sends is not read.
_CLOSE = {"Connection": "close"}


class HeadTooLarge(TicketingError):
    """The request's headers are too large or too many."""

    status, code = 431, "headers_too_large"


class AddressTooLong(TicketingError):
    """The address of the request is too long."""

    status, code = 414, "address_too_long"


def check_head(scope: Scope) -> None:
    """Raises HeadTooLarge, AddressTooLong or BadRequest."""
    query = scope["query_string"]
    if is_head_too_large(scope):
        raise HeadTooLarge
    if len(scope["path"]) + len(query) > ADDRESS_BYTES_MAX:
        raise AddressTooLong
    if query.count(b"&") >= PARAMETERS_MAX:
        raise BadRequest(f"The address may have at most {PARAMETERS_MAX} parameters.")


def is_head_too_large(scope: Scope) -> bool:
    """Whether there are more headers, or more bytes in them, than we take."""
    headers, size = scope["headers"], 0
    for name, value in headers:  # half the time of a generator's, at every request
        size += len(name) + len(value)
    return len(headers) > HEADERS_MAX or size > HEAD_BYTES_MAX


def has_body(scope: Scope) -> bool:
    """RFC 9112 §6.3: a request without these two headers has no body."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False


def limited(scope: Scope, receive: Receive, bytes_max: int) -> Receive:
    """Read a body no further than its limit, and wait for it no longer than a decent client needs.

    What it gives raises HTTPException 413 or 408.
    """
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    is_too_long = announced.isdigit() and (len(announced) > 15 or int(announced) > bytes_max)
    clock = asyncio.get_running_loop().time
    begun, received, is_whole = clock(), 0, False

    async def receive_limited() -> Message:
        nonlocal received, is_whole
        if is_too_long:
            raise HTTPException(413, headers=_CLOSE)
        if is_whole:  # what comes now is the news that the client has left, for which there is no hurry
            return await receive()
        try:
            async with asyncio.timeout_at(begun + BODY_SECONDS + received / BODY_BYTES_PER_SECOND):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, headers=_CLOSE) from None
        received, is_whole = received + len(message.get("body", b"")), not message.get("more_body", False)
        if received > bytes_max:
            raise HTTPException(413, headers=_CLOSE)
        return message

    return receive_limited


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises BadRequest when the client leaves in the middle, and what `receive` raises."""
    pieces, is_more = [], True
    while is_more:
        message = await receive()
        if message["type"] != "http.request":
            raise BadRequest
        pieces.append(message.get("body", b""))
        is_more = message.get("more_body", False)
    return b"".join(pieces)


def replay(body: bytes, receive: Receive) -> Receive:
    """What gives a body that was read already once more, and then whatever else there is to hear."""
    is_given = False

    async def receive_again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def is_too_deep(body: bytes) -> bool:
    """Whether this JSON is nested deeper than DEPTH_MAX, or its many brackets have no partners.

    Each round takes the innermost brackets away, in C: a body of a megabyte costs milliseconds.
    """
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return False
    brackets = _TEXT.sub(b"", body).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(DEPTH_MAX):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
