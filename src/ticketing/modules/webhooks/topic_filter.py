"""The types that a tenant selects: names of topics, and prefixes such as `order.*`."""

from collections.abc import Iterable, Sequence

from ticketing.infra.errors import Invalid
from ticketing.infra.outbox import known_topics

#: There are fewer topics than this.
TYPES_MAX = 100


def check(types: Iterable[str], field: str = "types") -> None:
    """Check that each type matches a known topic. Raises Invalid, naming the field."""
    known = set(known_topics())
    for each in types:
        prefix = prefix_of(each)
        if each not in known and not (prefix and any(topic.startswith(prefix) for topic in known)):
            raise Invalid(f"There is no type {_printable(each)}; see the list of messages.", field=field)


def parse(listed: str) -> list[str]:
    """Parse the comma-separated types of a query parameter. Raises Invalid."""
    types = [part.strip() for part in listed.split(",") if part.strip()]
    if len(types) > TYPES_MAX:
        raise Invalid(f"Name at most {TYPES_MAX} types.", field="types")
    check(types)
    return types


def names_and_prefixes(types: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names and the prefixes. Not expanded to known topics: the log may contain topics of a newer release."""
    return [*types], [prefix for each in types if (prefix := prefix_of(each))]


def prefix_of(each: str) -> str | None:
    """`order.` for `order.*`; None for a name."""
    return each.removesuffix("*") if each.endswith(".*") else None


def _printable(each: str) -> str:
    return repr(each) if each.isascii() and each.isprintable() and len(each) <= 64 else "like this"
