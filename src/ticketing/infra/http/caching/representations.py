"""Responses rendered once, in each of their representations: gzipped and plain, in full and as 304, with ETags.

RFC 9110 §8.8.3: a strong ETag identifies bytes, so the gzipped representation has another one than the plain one.
"""

import gzip
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from starlette.requests import Request
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
class Representations:
    """A response in all representations."""

    #: The ETag of each representation as in If-None-Match, with quotes, without W/.
    tags: tuple[bytes, ...]
    gzipped: Representation
    gzipped_unchanged: Representation
    #: None if the ordinary route decompresses it for the few clients without gzip.
    plain: Representation | None
    plain_unchanged: Representation

    @property
    def size(self) -> int:
        """The bytes of the bodies."""
        return len(self.gzipped.body) + (len(self.plain.body) if self.plain else 0)

    def select(self, accept_encoding: bytes, if_none_match: bytes) -> Representation | None:
        """The representation for these request headers; None when it is not here."""
        is_gzip = accepts_gzip(accept_encoding)
        if if_none_match and (if_none_match.strip() == b"*" or any(tag in if_none_match for tag in self.tags)):
            return self.gzipped_unchanged if is_gzip else self.plain_unchanged
        return self.gzipped if is_gzip else self.plain

    def respond(self, request: Request) -> Response:
        """The response of a route. Only for a response with a plain representation."""
        if_none_match = ",".join(request.headers.getlist("if-none-match")).encode("latin-1")
        selected = self.select(request.headers.get("accept-encoding", "").encode("latin-1"), if_none_match)
        assert selected is not None
        response = Response(selected.body, selected.status)
        response.raw_headers = list(selected.headers)
        return response


def represent(
    body: bytes, content_type: str = "application/json", headers: Iterable[tuple[str, str]] = ()
) -> Representations:
    """The representations of a body that clients have to validate before they use it again.

    `headers`: further headers, also of the 304, whose headers replace those that a browser has stored (RFC 9111 §3.2).
    """
    digest = hashlib.sha256(body).hexdigest()[:32]
    plain, gzipped = f'"{digest}"'.encode(), f'"{digest}-gzip"'.encode()
    media, more = content_type.encode(), [(name.lower().encode(), value.encode()) for name, value in headers]
    return Representations(
        tags=(plain, gzipped),
        gzipped=_full(gzip.compress(body, _LEVEL, mtime=0), media, [*_validators(gzipped), *more], is_gzip=True),
        gzipped_unchanged=Representation(304, [*_validators(gzipped), *more], b""),
        plain=_full(body, media, [*_validators(plain), *more]),
        plain_unchanged=Representation(304, [*_validators(plain), *more], b""),
    )


def represent_gzipped(etag: str, gzipped: bytes, cache_control: str) -> Representations:
    """The representations of a large body of JSON that is kept gzipped only.

    Its ETag is weak, so that both representations share it.
    """
    tag = etag.encode()
    validators = _validators(tag, cache_control.encode())
    unchanged = Representation(304, validators, b"")
    return Representations(
        tags=(tag.removeprefix(b"W/"),),
        gzipped=_full(gzipped, b"application/json", validators, is_gzip=True),
        gzipped_unchanged=unchanged,
        plain=None,
        plain_unchanged=unchanged,
    )


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether the header accepts gzip."""
    for choice in accept_encoding.lower().split(b","):
        coding, _, weight = choice.partition(b";")
        if coding.strip() == b"gzip":
            return not _WEIGHT_ZERO.fullmatch(weight.strip())
    return False


def _validators(tag: bytes, cache_control: bytes = b"no-cache") -> RawHeaders:
    return [(b"etag", tag), (b"cache-control", cache_control), (b"vary", b"Accept-Encoding")]


def _full(body: bytes, media: bytes, headers: RawHeaders, *, is_gzip: bool = False) -> Representation:
    complete = [(b"content-length", str(len(body)).encode()), (b"content-type", media), *headers]
    return Representation(200, [*complete, (b"content-encoding", b"gzip")] if is_gzip else complete, body)
