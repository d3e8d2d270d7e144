"""What a refusal of bad input has to be, and the few values that look worse than they are."""

import re
from collections.abc import Iterator
from typing import Any

import httpx2

#: What an exception's text, or a program's inside, would look like.
LEAKS = re.compile(
    r"traceback|psycopg|sqlalchemy|pydantic|starlette|fastapi|orjson|ticketing\.|\.py\b|insert into|select |update |"
    r"exception|nonetype|object has no|errno|constraint|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
#: Values that look wrong and are not, or of which more must not be said than that they open nothing.
LEGAL = {
    # A password may hold any character; this one is not that person's.
    ("POST /auth/login", "password", "a\0b"): 401,
    ("POST /auth/refresh", "refresh_token", "a\0b"): 401,
    # Ending a log-in that never was is no error.
    ("POST /auth/logout", "refresh_token", "a\0b"): 200,
    # Each scan has its own result; here it is `invalid_code`.
    ("POST /orgs/{org_id}/events/{event_id}/check-ins/sync", "scans.0.code", "a\0b"): 200,
    # Not to wait is the default.
    ("GET /orgs/{org_id}/feed", "wait", "0"): 200,
    # Whether an address is known is not told apart from whether it could be one.
    ("GET /orders/by-reference/{reference}", "email", "a\0b"): 404,
}


def check(response: httpx2.Response, what: str, field: str | None = None) -> Iterator[str]:
    """What is wrong with this refusal, in words."""
    if not 400 <= response.status_code < 500:
        yield f"{what}: {response.status_code} {response.text[:300]}"
        return
    if leak := LEAKS.search(response.text):
        yield f"{what}: tells {leak[0]!r} in {response.text[:300]}"
    errors: list[dict[str, Any]] = response.json()["errors"]
    if field is not None and not any(_is_about(error, field) for error in errors):
        yield f"{what}: {response.status_code} does not name {field}: {errors}"


def _is_about(error: dict[str, Any], field: str) -> bool:
    named = str(error.get("field"))
    return named == field or named.startswith(field + ".")
