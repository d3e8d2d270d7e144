"""The lanes of the gate: which requests wait for each other, and whose turns they take. The whole policy on one page.

A rush of buyers fills its own lane only: door scans, payment providers, staff and readers of pages have theirs.
"""

import re

from starlette.types import Scope

from ticketing.infra.http.gate import Turn

#: Probes, metrics and files cost next to nothing.
_FREE = ("/health", "/metrics", "/static", "/.well-known", "/docs", "/openapi.json", "/favicon.ico")
_API = "/api/v1/"
#: The event in the body of a hold, which is short. Another spelling of it takes turns as "other".
_EVENT = re.compile(rb'"event_id"\s*:\s*"([0-9a-f-]{36})"')
_BODY_BYTES_MAX = 2048


def turn_of(scope: Scope, arrived: bytes | bytearray) -> Turn | None:
    """The lane and key of a request. `arrived` is what is there of its body. None: it never waits."""
    path: str = scope["path"]
    if not path.startswith(_API):
        return None if path.startswith(_FREE) else Turn("read", path)
    is_reading = scope["method"] in {"GET", "HEAD", "OPTIONS"}
    match path[len(_API) :].split("/", 4):
        case ["events", _, "stream"] | ["orgs", _, "feed"]:
            return None  # open for minutes, and idle: bounded elsewhere
        case ["orgs", _, "events", event, rest] if rest.startswith("check-ins"):
            return Turn("scan", event)
        case ["orgs", organization, *_]:
            return Turn("staff", organization)
        case ["payments", "webhooks", provider, *_]:
            return Turn("provider", provider)
        case ["reservations"] if not is_reading:
            found = _EVENT.search(arrived, 0, _BODY_BYTES_MAX)
            return Turn("sale", found[1].decode() if found else "other")
        case ["reservations" | "orders" | "payments" | "checkout" as kind, *_] if not is_reading:
            return Turn("sale", kind)
        case ["events"]:
            return Turn("read", "events")
        case ["events", event, *_]:
            return Turn("read", event)
        case [kind, *_]:
            return Turn("read" if is_reading else "account", kind)
    return Turn("read", "")
