"""Security headers of every response, and CORS."""

from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from ticketing.infra.config import Settings

RawHeaders = list[tuple[bytes, bytes]]

#: For API responses, which are not pages: load nothing, frame nothing, no framing, no forms.
API_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
#: Browser features that no page uses.
NO_FEATURES = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
HSTS = "max-age=31536000"

EXPOSED = (
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "X-Correlation-ID",
    "Idempotency-Replayed",
    "ETag",
)
ACCEPTED = ("Authorization", "Content-Type", "Idempotency-Key", "X-Correlation-ID", "Last-Event-ID", "If-None-Match")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PREFLIGHT_SECONDS = 600


def defaults(settings: Settings) -> RawHeaders:
    """Return the headers for responses that do not set them themselves."""
    headers = {
        "Content-Security-Policy": API_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": NO_FEATURES,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    if settings.public_url.startswith("https://"):
        headers["Strict-Transport-Security"] = HSTS
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def complete(headers: Iterable[tuple[bytes, bytes]], missing: RawHeaders) -> RawHeaders:
    """Add those headers of `missing` that the response does not have."""
    present = list(headers)
    names = {name.lower() for name, _ in present}
    return [*present, *(header for header in missing if header[0] not in names)]


def allow_origins(app: ASGIApp, origins: list[str]) -> ASGIApp:
    """Allow pages of these origins to read responses. Credentials that a browser attaches are never accepted."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=ACCEPTED,
        expose_headers=EXPOSED,
        allow_credentials=False,
        max_age=PREFLIGHT_SECONDS,
    )
