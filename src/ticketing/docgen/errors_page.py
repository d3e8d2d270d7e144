"""docs/errors.md: every error code of the API, from the error classes and from the HTTP layer's own table."""

from collections.abc import Iterator

from ticketing.docgen.codebase import MODULE_ORDER, import_everything, one_line
from ticketing.infra.errors import TicketingError
from ticketing.infra.http.error_handlers import HTTP_CODES

_HEAD = """\
# Error codes

Generated from the error classes by `make docs`.

Every error response is an envelope with `"success": false`, a `message` for people and `errors`, a list of entries:

```json
{"success": false, "message": "One of these seats is already held or sold.",
 "errors": [{"code": "seat_unavailable", "message": "One of these seats is already held or sold.",
             "field": "seats", "seats": ["A-1"]}],
 "meta": {"correlation_id": "0192f7c6a4d27c0f8a51b1c0e7a3d9f4"}}
```

- **Act on `code`**, never on `message`: codes are stable, messages may be reworded.
- `field` names the field, parameter or header that is wrong, with dots for nested ones. Some codes add details of their
  own, such as `seats`.
- The same code can come from several places; the status belongs to the code's row.
- Where a number of seconds is given, the response has a `Retry-After` header with it; *varies* means that the header
  says how long. Repeat a POST with the same `Idempotency-Key`.
- A 4xx response means that nothing was changed. After a 503 `dependency_down` or a lost connection the outcome can be
  unknown; a retry with the same `Idempotency-Key` gives the final response.
"""

#: Codes whose Retry-After is computed for each response.
_VARIES = {"rate_limited"}

Row = tuple[str, int, str, str]


def kinds() -> list[type[TicketingError]]:
    """Every error class of the package, including the base."""
    import_everything()
    return sorted(_kinds(TicketingError), key=lambda kind: (kind.code, kind.status, kind.__name__))


def _kinds(parent: type[TicketingError]) -> Iterator[type[TicketingError]]:
    if parent.__module__.startswith("ticketing."):
        yield parent
    for kind in parent.__subclasses__():
        yield from _kinds(kind)


def render(_: str = "") -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    by_place: dict[str, set[Row]] = {}
    for kind in kinds():
        by_place.setdefault(_place(kind), set()).add(_row(kind))
    by_place.setdefault("", set()).update(_rows_of_statuses(by_place[""]))
    yield _HEAD
    for place in ("", *MODULE_ORDER):
        if rows := by_place.get(place):
            yield f"## `{place}`\n" if place else "## Any request\n"
            yield "| code | status | retry after | when |"
            yield "|---|---|---|---|"
            yield from (f"| `{code}` | {status} | {retry} | {when} |" for code, status, retry, when in sorted(rows))
            yield ""


def _place(kind: type[TicketingError]) -> str:
    """The module that raises it; empty for what any request can meet."""
    parts = kind.__module__.split(".")
    return parts[2] if parts[1] == "modules" else ""


def _row(kind: type[TicketingError]) -> Row:
    seconds = kind.retry_after_seconds
    retry = f"{seconds} s" if seconds is not None else ("varies" if kind.code in _VARIES else "")
    return kind.code, kind.status, retry, one_line(kind.__doc__)


def _rows_of_statuses(known: set[Row]) -> Iterator[Row]:
    """What the framework or the server refuses before any of our classes is raised."""
    pairs = {(code, status) for code, status, _, _ in known}
    for status, (code, message) in HTTP_CODES.items():
        if (code, status) not in pairs:
            yield code, status, "", message
