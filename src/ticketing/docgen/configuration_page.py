"""docs/configuration.md: every setting with its default, its limits and its meaning, from `Settings`."""

import inspect
from collections.abc import Iterator
from typing import Any

from ticketing.docgen.codebase import one_line
from ticketing.infra.config import Settings

_HEAD = """\
# Configuration

Generated from `Settings` by `make docs`.

Settings come from environment variables, or from a file `.env` in the working directory; the environment wins. An empty
value counts as unset. A wrong value stops the start with a sentence that names the variable and says what is right.
`make run` needs none of them. `.env.example` has the ones most deployments set.

With `ENVIRONMENT=production` the process refuses to start unless `DATABASE_URL`, `REDIS_URL`, `JWT_SECRET`,
`TICKET_SIGNING_KEY`, `PUBLIC_URL`, `SMTP_URL` and `MAIL_FROM` are set, or when a secret or password looks as if it came
from an example.
"""

#: The first field of each group; a group extends to the next one's.
GROUPS = {
    "The process": "environment",
    "PostgreSQL, Redis and Kafka": "database_url",
    "Sessions, tickets and payments": "jwt_secret",
    "Email": "smtp_url",
    "Retention, retries, holds and streams": "outbox_retention_days",
    "Quotas": "organizations_per_person_max",
    "Operations and tests": "metrics_port",
}
_TITLES = {first: title for title, first in GROUPS.items()}
DAY = 86_400
_UNITS = {"seconds": "s", "hours": "h", "days": "days", "kib": "KiB"}

_TAIL = """\
## Variables that are not settings

| variable | meaning |
|---|---|
| `PROMETHEUS_MULTIPROC_DIR` | directory through which the API processes of one machine share their metrics; `ticketing up` sets it |
| `POSTGRES_PASSWORD`, `OWNER_DB_PASSWORD`, `APPLICATION_DB_PASSWORD`, `WORKER_DB_PASSWORD`, `VALKEY_PASSWORD` | passwords that `docker-compose.yml` hands to its servers; read by nothing else |
"""  # noqa: E501 (rows of a table)


def render(_: str = "") -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    schemas, meanings = Settings.model_json_schema()["properties"], descriptions()
    for name, field in Settings.model_fields.items():
        if (group := _TITLES.get(name)) is not None:
            yield from (f"## {group}\n", "| variable | default | allowed | meaning |", "|---|---|---|---|")
        cells = (f"`{name.upper()}`", _default(name, field.default), _allowed(name, schemas[name]))
        yield f"| {' | '.join(cells)} | {one_line(meanings[name])} |"
        if _is_last_of_group(name):
            yield ""
    yield _TAIL


def descriptions() -> dict[str, str]:
    """What the `#:` comment above each field says, by field; empty without one."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in inspect.getsource(Settings).splitlines():
        name, colon, _ = line.strip().partition(":")
        if name == "#":
            comment.append(line.partition("#:")[2].strip())
        else:
            if colon and name in Settings.model_fields:
                found[name] = " ".join(comment)
            comment = []
    return found


def _is_last_of_group(name: str) -> bool:
    names = list(Settings.model_fields)
    following = names[names.index(name) + 1 :]
    return not following or following[0] in _TITLES


def _default(name: str, value: Any) -> str:
    if hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if value is None or value == "":
        return "unset"
    if isinstance(value, bool):
        value = str(value).lower()
    days = f" ({value // DAY} days)" if "seconds" in name.split("_") and value >= DAY else ""
    return f"`{value}`{days}"


def _allowed(name: str, schema: dict[str, Any]) -> str:
    """The words, the range with its unit, or the kind of text."""
    number = next((one for one in schema.get("anyOf", [schema]) if one.get("type") in {"integer", "number"}), None)
    if number is not None:
        least = number["minimum"] if "minimum" in number else f"above {number['exclusiveMinimum']}, up"
        return f"{least} to {number['maximum']}{_unit(name)}"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    if schema["type"] == "boolean":
        return "`true`, `false`"
    if schema.get("format") == "password":
        return "secret text"
    return "path" if schema.get("format") == "path" else "text"


def _unit(name: str) -> str:
    if name.endswith("_per_second"):
        return " per second"
    return next((f" {unit}" for word, unit in _UNITS.items() if word in name.split("_")), "")
