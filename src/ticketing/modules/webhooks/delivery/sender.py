"""One try to bring a message: signed, sent, and the answer read as far as anybody wants to know it."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import UUID

import httpcore2
import httpx2
from standardwebhooks import Webhook

from ticketing.modules.webhooks.delivery.ssrf_guard import AddressRefused, CheckedBackend, NameUnknown

#: From the name's look-up to the answer's head.
TRY_SECONDS = 15.0
#: What follows the head is for people to read; it decides nothing.
SNIPPET_SECONDS = 2.0
SNIPPET_CHARACTERS = 1000
READ_BYTES_MAX = 4096
RETRY_AFTER_MAX = 86_400.0
#: Answers that may say when to come back (RFC 9110 §10.2.3, RFC 6585 §4).
_SAY_WHEN = {429, 503}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try. Without a status code, `error` says why, in a word of ours."""

    duration_ms: int
    status_code: int | None = None
    error: str | None = None
    snippet: str = ""
    retry_after_seconds: float | None = None

    @property
    def is_success(self) -> bool:
        return self.status_code is not None and 200 <= self.status_code < 300

    @property
    def is_gone(self) -> bool:
        return self.status_code == 410


class Sender:
    """Sends from this process. No redirect is followed, no proxy asked and no cookie kept: there is nothing that could.

    Each try has a connection of its own, so that each is dialled by the rules.
    """

    def __init__(self, backend: CheckedBackend, ssl_context: ssl.SSLContext | None = None) -> None:
        context = ssl_context or httpx2.create_ssl_context(trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context, network_backend=backend, max_connections=None, max_keepalive_connections=0
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def send(self, url: str, headers: dict[str, str], body: str) -> Answer:
        """Never raises for what the other side does."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(TRY_SECONDS):
                status, snippet, retry_after = await self._ask(url, headers, body)
        except Exception as error:
            return Answer(_milliseconds(begun), error=_word(error))
        return Answer(_milliseconds(begun), status, None, snippet, retry_after)

    async def _ask(self, url: str, headers: dict[str, str], body: str) -> tuple[int, str, float | None]:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream("POST", _parse(url), headers=sent, content=body.encode()) as response:
            retry_after = _retry_after(response) if response.status in _SAY_WHEN else None
            return response.status, await _read_snippet(response), retry_after


def headers_of(message_id: UUID, at: datetime, body: str, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of Standard Webhooks, signed with each of the secrets."""
    signatures = [Webhook(secret).sign(str(message_id), at, body) for secret in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Ticketing-Webhooks/1",
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _parse(url: str) -> httpcore2.URL:
    parsed = httpx2.URL(url)
    return httpcore2.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)


async def _read_snippet(response: httpcore2.Response) -> str:
    read = b""
    # Whoever drips, breaks off or never ends has answered all the same.
    with contextlib.suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
        async with asyncio.timeout(SNIPPET_SECONDS):
            async for piece in response.aiter_stream():
                read += piece[:READ_BYTES_MAX]
                if len(read) >= READ_BYTES_MAX:
                    break
    text = read[:READ_BYTES_MAX].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in text)[:SNIPPET_CHARACTERS]


def _retry_after(response: httpcore2.Response) -> float | None:
    """The header in seconds, given as such or as a date; None when there is none that can be read."""
    value = next((v for name, v in response.headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:10]), RETRY_AFTER_MAX)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0), RETRY_AFTER_MAX)


def _word(error: Exception) -> str:
    match error:
        case AddressRefused():
            return "address_refused"
        case NameUnknown():
            return "name_unknown"
        case TimeoutError() | httpcore2.TimeoutException():
            return "timed_out"
        case httpcore2.ConnectError() if _is_about_tls(error):
            return "tls_failed"
        case httpcore2.ConnectError():
            return "connection_failed"
        case httpcore2.ProtocolError():
            return "no_http"
        case httpcore2.NetworkError():
            return "connection_broken"
    return "failed"


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _milliseconds(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
