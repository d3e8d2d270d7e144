"""Requirements on error responses to invalid input, and the exceptional values that are accepted."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2

#: Traces of exceptions and implementation details.
LEAKS = re.compile(
    r"traceback|psycopg|sqlalchemy|pydantic|starlette|fastapi|orjson|ticketing\.|\.py\b|insert into|select |update |"
    r"exception|nonetype|object has no|errno|constraint|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
#: Values that look invalid and are accepted, or whose error must not name the field.
LEGAL = {
    # A password may contain any character; this one is wrong.
    ("POST /auth/login", "password", "a\0b"): 401,
    ("POST /auth/refresh", "refresh_token", "a\0b"): 401,
    # Logging out of an unknown session is not an error.
    ("POST /auth/logout", "refresh_token", "a\0b"): 200,
    # Each scan has a separate result; here it is `invalid_code`.
    ("POST /orgs/{org_id}/events/{event_id}/check-ins/sync", "scans.0.code", "a\0b"): 200,
    # No waiting is the default.
    ("GET /orgs/{org_id}/feed", "wait", "0"): 200,
    # An unknown email address and an invalid one get the same response.
    ("GET /orders/by-reference/{reference}", "email", "a\0b"): 404,
}


def check(response: httpx2.Response, what: str, field: str | None = None) -> Iterator[str]:
    """Describe what is wrong with this error response."""
    if not 400 <= response.status_code < 500:
        yield f"{what}: {response.status_code} {response.text[:300]}"
        return
    if leak := LEAKS.search(response.text):
        yield f"{what}: leaks {leak[0]!r} in {response.text[:300]}"
    errors: list[dict[str, Any]] = response.json()["errors"]
    if field is not None and not any(_is_about(error, field) for error in errors):
        yield f"{what}: {response.status_code} does not name {field}: {errors}"


def _is_about(error: dict[str, Any], field: str) -> bool:
    named = str(error.get("field"))
    return named == field or named.startswith(field + ".")
