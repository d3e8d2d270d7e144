"""An answer about a map, made ready once: every header list, gzipped and plain, and how a client knows it again."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from starlette.responses import Response

from ticketing.infra.http.security_headers import RawHeaders

Source = Literal["memory", "redis", "database"]

_NEVER = re.compile(rb"q=0(\.0{0,3})?")
#: Letters in long runs: the fastest level takes off all but a few per cent of what the slowest would.
_LEVEL = 1


class Form(NamedTuple):
    """One of the shapes in which an answer leaves."""

    status: int
    headers: RawHeaders
    body: bytes


@dataclass(frozen=True, slots=True)
class Copy:
    """An answer, and until when it may be given."""

    #: What each form is called in ETag and If-None-Match, quotes included and W/ left out.
    tags: tuple[bytes, ...]
    gzipped: Form
    gzipped_unchanged: Form
    #: None where the ordinary route unpacks it for the few who ask.
    plain: Form | None
    plain_unchanged: Form
    #: By the loop's clock.
    good_until: float
    source: Source

    def select(self, accept_encoding: bytes, if_none_match: bytes) -> Form | None:
        """The form for a client that accepts these encodings and has these versions; None when it isn't kept here."""
        is_gzip = accepts_gzip(accept_encoding)
        if (
            self.tags
            and if_none_match
            and (if_none_match.strip() == b"*" or any(tag in if_none_match for tag in self.tags))
        ):
            return self.gzipped_unchanged if is_gzip else self.plain_unchanged
        return self.gzipped if is_gzip else self.plain


class Packed(NamedTuple):
    """The body of an answer as it travels between processes: the tag of its content, and the content gzipped."""

    tag: str
    gzipped: bytes

    @classmethod
    def of(cls, body: bytes) -> "Packed":
        return cls(hashlib.sha256(body).hexdigest()[:32], gzip.compress(body, _LEVEL, mtime=0))


def copy_of_map(packed: Packed, body: bytes, good_until: float, source: Source) -> Copy:
    """A copy of an availability. Its tags are strong, so the gzipped bytes have one of their own (RFC 9110 §8.8.3)."""
    plain, gzipped = f'"{packed.tag}"'.encode(), f'"{packed.tag}-gzip"'.encode()
    return Copy(
        tags=(plain, gzipped),
        gzipped=_form(packed.gzipped, gzipped, b"no-cache", is_gzip=True),
        gzipped_unchanged=_unchanged(gzipped, b"no-cache"),
        plain=_form(body, plain, b"no-cache"),
        plain_unchanged=_unchanged(plain, b"no-cache"),
        good_until=good_until,
        source=source,
    )


def copy_of_layout(etag: str, gzipped: bytes, keeping: str, good_until: float) -> Copy:
    """A copy of a layout. Its tag is weak, and so the same for both forms; the plain one is large and seldom wanted."""
    tag, kept = etag.encode(), keeping.encode()
    unchanged = _unchanged(tag, kept)
    return Copy(
        tags=(tag.removeprefix(b"W/"),),
        gzipped=_form(gzipped, tag, kept, is_gzip=True),
        gzipped_unchanged=unchanged,
        plain=None,
        plain_unchanged=unchanged,
        good_until=good_until,
        source="database",
    )


def copy_of_event(body: bytes, good_until: float) -> Copy:
    """A copy of an event. It has no tag and one form, as the ordinary route's answer."""
    headers = [(b"content-length", str(len(body)).encode()), (b"content-type", b"application/json")]
    form = Form(200, headers, body)
    return Copy((), form, form, form, form, good_until, "database")


def respond(form: Form) -> Response:
    """A form as a route's answer."""
    response = Response(form.body, form.status)
    response.raw_headers = list(form.headers)
    return response


@lru_cache(maxsize=256)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether the header names gzip, other than to refuse it."""
    for choice in accept_encoding.lower().split(b","):
        coding, _, weight = choice.partition(b";")
        if coding.strip() == b"gzip":
            return not _NEVER.fullmatch(weight.strip())
    return False


def _unchanged(tag: bytes, keeping: bytes) -> Form:
    return Form(304, [(b"etag", tag), (b"cache-control", keeping), (b"vary", b"Accept-Encoding")], b"")


def _form(body: bytes, tag: bytes, keeping: bytes, *, is_gzip: bool = False) -> Form:
    headers = [
        (b"content-length", str(len(body)).encode()),
        (b"content-type", b"application/json"),
        *_unchanged(tag, keeping).headers,
    ]
    return Form(200, [*headers, (b"content-encoding", b"gzip")] if is_gzip else headers, body)
