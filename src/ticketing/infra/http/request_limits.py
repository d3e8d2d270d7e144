"""Limits on what an unauthenticated client can send: headers, URL, body size, JSON depth and breadth, duration."""

import asyncio
import re

from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from ticketing.infra.errors import BadRequest, TicketingError

HEAD_BYTES_MAX = 16 * 1024
HEADERS_MAX = 100
ADDRESS_BYTES_MAX = 8 * 1024
PARAMETERS_MAX = 100
#: No request body of the API needs more than five levels.
DEPTH_MAX = 32
#: A body must arrive within this time, extended by 1 s for each BODY_BYTES_PER_SECOND received.
BODY_SECONDS = 20.0
BODY_BYTES_PER_SECOND = 32 * 1024

# Possessive, and an unclosed string matches to the end, so that hostile input cannot cause quadratic backtracking.
_TEXT = re.compile(rb'"(?:[^"\\]++|\\.?)*+(?:"|\Z)', re.DOTALL)
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
#: The rest of the refused body is not read, so the connection cannot be reused.
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
    """Whether the number or the total size of the headers exceeds its limit."""
    headers, size = scope["headers"], 0
    for name, value in headers:  # half the time of `sum` over a generator, on every request
        size += len(name) + len(value)
    return len(headers) > HEADERS_MAX or size > HEAD_BYTES_MAX


def has_body(scope: Scope) -> bool:
    """RFC 9112 §6.3: a request without these two headers has no body."""
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False


def limited(scope: Scope, receive: Receive, bytes_max: int) -> Receive:
    """Wrap `receive` with limits on the body's size and on the time that it takes to arrive.

    The returned callable raises HTTPException 413 or 408.
    """
    announced = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    is_too_long = announced.isdigit() and (len(announced) > 15 or int(announced) > bytes_max)
    clock = asyncio.get_running_loop().time
    begun, received, is_whole = clock(), 0, False

    async def receive_limited() -> Message:
        nonlocal received, is_whole
        if is_too_long:
            raise HTTPException(413, headers=_CLOSE)
        if is_whole:  # the next message is the disconnect, which has no deadline
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
    """Read the whole body. Raises BadRequest when the client disconnects midway, and what `receive` raises."""
    pieces, is_more = [], True
    while is_more:
        message = await receive()
        if message["type"] != "http.request":
            raise BadRequest
        pieces.append(message.get("body", b""))
        is_more = message.get("more_body", False)
    return b"".join(pieces)


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that yields a body that was already read, then continues with the original."""
    is_sent = False

    async def receive_again() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def has_too_many_values(body: bytes, values_max: int) -> bool:
    """Whether this JSON has more than about `values_max` values: all but the first of a list or object follow a comma.

    Each unknown or invalid value causes a validation error, which takes 30 times as long as parsing the value.
    """
    return body.count(b",") > values_max and _TEXT.sub(b"", body).count(b",") > values_max


def check_encoding(body: bytes) -> None:
    """Refuse JSON that is not UTF-8 without a byte order mark (RFC 8259 §8.1).

    The framework also reads UTF-16 and UTF-32; checks of the bytes would not see what it sees.

    Raises:
        BadRequest: another encoding, or a NUL, by which encodings are guessed.
    """
    try:
        is_plain = not body.decode().startswith("\ufeff") and b"\0" not in body
    except UnicodeDecodeError:
        is_plain = False
    if not is_plain:
        raise BadRequest("The request body must be JSON in UTF-8, without a byte order mark.")


def is_too_deep(body: bytes) -> bool:
    """Whether this JSON is nested deeper than DEPTH_MAX. Unbalanced brackets beyond that number count as too deep.

    Each pass removes the innermost brackets with `bytes.replace`: 1 MB takes milliseconds.
    """
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return False
    brackets = _TEXT.sub(b"", body).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(DEPTH_MAX):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
