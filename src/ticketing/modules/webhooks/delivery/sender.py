"""One delivery attempt: sends the signed request, and reads the status and the start of the response."""

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

from ticketing.infra.system.outside_calls import assert_no_transaction
from ticketing.modules.webhooks.delivery.ssrf_guard import AddressRefused, NameUnknown, SsrfGuard

#: From the look-up of the name to the head of the response.
ATTEMPT_SECONDS = 15.0
#: The body of the response is stored for people to read. It does not affect the result.
SNIPPET_SECONDS = 2.0
SNIPPET_CHARACTERS = 1000
READ_BYTES_MAX = 4096
RETRY_AFTER_MAX = 86_400.0
#: Responses that may have `Retry-After` (RFC 9110 §10.2.3, RFC 6585 §4).
_RETRY_AFTER_STATUSES = {429, 503}


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of an attempt. `error` is an error code if there was no response."""

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
    """Sends requests through a connection pool of httpcore, which has no redirects, proxies or cookies.

    Each attempt opens a new connection, so that the backend checks the address each time.
    """

    def __init__(self, backend: SsrfGuard, ssl_context: ssl.SSLContext | None = None) -> None:
        context = ssl_context or httpx2.create_ssl_context(trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context, network_backend=backend, max_connections=None, max_keepalive_connections=0
        )

    async def close(self) -> None:
        await self._pool.aclose()

    async def send(self, url: str, headers: dict[str, str], body: str) -> SendResult:
        """Send a request. Errors of the receiver are returned, not raised."""
        assert_no_transaction("the webhook sender")
        begun = time.monotonic()
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                status, snippet, retry_after = await self._post(url, headers, body)
        except Exception as error:
            return SendResult(_milliseconds(begun), error=_error_code(error))
        return SendResult(_milliseconds(begun), status, None, snippet, retry_after)

    async def _post(self, url: str, headers: dict[str, str], body: str) -> tuple[int, str, float | None]:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        async with self._pool.stream("POST", _parse(url), headers=sent, content=body.encode()) as response:
            retry_after = _retry_after(response) if response.status in _RETRY_AFTER_STATUSES else None
            return response.status, await _read_snippet(response), retry_after


def headers_of(message_id: UUID, at: datetime, body: str, secrets: Sequence[bytes]) -> dict[str, str]:
    """The headers of Standard Webhooks, with one signature per secret."""
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
    # A body that is slow, breaks off or never ends does not change the status.
    with contextlib.suppress(TimeoutError, httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException):
        async with asyncio.timeout(SNIPPET_SECONDS):
            async for piece in response.aiter_stream():
                read += piece[:READ_BYTES_MAX]
                if len(read) >= READ_BYTES_MAX:
                    break
    text = read[:READ_BYTES_MAX].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in text)[:SNIPPET_CHARACTERS]


def _retry_after(response: httpcore2.Response) -> float | None:
    """`Retry-After` in seconds, from a number or a date; None if it is missing or malformed."""
    value = next((v for name, v in response.headers if name.lower() == b"retry-after"), b"").decode("latin-1").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:10]), RETRY_AFTER_MAX)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - datetime.now(UTC)).total_seconds(), 0), RETRY_AFTER_MAX)


def _error_code(error: Exception) -> str:
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
