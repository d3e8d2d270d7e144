"""Responses rendered once: headers and bodies of each representation, gzipped and plain, with ETags."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from starlette.responses import Response

from ticketing.infra.http.security_headers import RawHeaders

_WEIGHT_ZERO = re.compile(rb"q=0(\.0{0,3})?")
#: Seat statuses are long runs of one character: level 1 is within a few per cent of the best compression.
_LEVEL = 1


class Representation(NamedTuple):
    """One representation of a response."""

    status: int
    headers: RawHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A response in all representations, and its expiry."""

    #: The ETag of each representation as in If-None-Match, with quotes, without W/.
    tags: tuple[bytes, ...]
    gzipped: Representation
    gzipped_unchanged: Representation
    #: None if the ordinary route decompresses it for the few clients without gzip.
    plain: Representation | None
    plain_unchanged: Representation
    #: In the event loop's time.
    expires_at: float

    def select(self, accept_encoding: bytes, if_none_match: bytes) -> Representation | None:
        """The representation for these request headers; None when it is not cached."""
        is_gzip = accepts_gzip(accept_encoding)
        if (
            self.tags
            and if_none_match
            and (if_none_match.strip() == b"*" or any(tag in if_none_match for tag in self.tags))
        ):
            return self.gzipped_unchanged if is_gzip else self.plain_unchanged
        return self.gzipped if is_gzip else self.plain


def map_response(body: bytes, expires_at: float) -> CachedResponse:
    """A cached availability. Its ETags are strong, so the gzipped bytes have one of their own (RFC 9110 §8.8.3)."""
    digest = hashlib.sha256(body).hexdigest()[:32]
    plain, gzipped = f'"{digest}"'.encode(), f'"{digest}-gzip"'.encode()
    return CachedResponse(
        tags=(plain, gzipped),
        gzipped=_representation(gzip.compress(body, _LEVEL, mtime=0), gzipped, b"no-cache", is_gzip=True),
        gzipped_unchanged=_unchanged(gzipped, b"no-cache"),
        plain=_representation(body, plain, b"no-cache"),
        plain_unchanged=_unchanged(plain, b"no-cache"),
        expires_at=expires_at,
    )


def layout_response(etag: str, gzipped: bytes, cache_control: str, expires_at: float) -> CachedResponse:
    """A cached layout. Its ETag is weak, so both representations share it; the plain one is large and rarely used."""
    tag, kept = etag.encode(), cache_control.encode()
    unchanged = _unchanged(tag, kept)
    return CachedResponse(
        tags=(tag.removeprefix(b"W/"),),
        gzipped=_representation(gzipped, tag, kept, is_gzip=True),
        gzipped_unchanged=unchanged,
        plain=None,
        plain_unchanged=unchanged,
        expires_at=expires_at,
    )


def event_response(body: bytes, expires_at: float) -> CachedResponse:
    """A cached event. It has no ETag and one representation, like the ordinary route's response."""
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    representation = Representation(200, headers, body)
    return CachedResponse((), representation, representation, representation, representation, expires_at)


def respond(representation: Representation) -> Response:
    """A representation as the response of a route."""
    response = Response(representation.body, representation.status)
    response.raw_headers = list(representation.headers)
    return response


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether the header accepts gzip."""
    for choice in accept_encoding.lower().split(b","):
        coding, _, weight = choice.partition(b";")
        if coding.strip() == b"gzip":
            return not _WEIGHT_ZERO.fullmatch(weight.strip())
    return False


def _unchanged(tag: bytes, cache_control: bytes) -> Representation:
    return Representation(304, [(b"etag", tag), (b"cache-control", cache_control), (b"vary", b"Accept-Encoding")], b"")


def _representation(body: bytes, tag: bytes, cache_control: bytes, *, is_gzip: bool = False) -> Representation:
    headers = [
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/json"),
        *_unchanged(tag, cache_control).headers,
    ]
    return Representation(200, [*headers, (b"content-encoding", b"gzip")] if is_gzip else headers, body)
