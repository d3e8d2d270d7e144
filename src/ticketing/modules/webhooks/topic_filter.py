"""The topics that a tenant can ask for, by name or by a prefix such as `order.*`."""

from collections.abc import Iterable, Sequence

from ticketing.infra.errors import Invalid
from ticketing.infra.outbox import known_topics

#: More than anybody lists; there are fewer topics than this.
TYPES_MAX = 100


def check(types: Iterable[str], field: str = "types") -> None:
    """Raises Invalid, naming the field, when one of them means no topic that there is."""
    known = set(known_topics())
    for each in types:
        prefix = prefix_of(each)
        if each not in known and not (prefix and any(topic.startswith(prefix) for topic in known)):
            raise Invalid(f"There is no type {_shown(each)}; see the list of messages.", field=field)


def split(listed: str) -> list[str]:
    """The types of a query, which separates them by commas. Raises Invalid."""
    types = [part.strip() for part in listed.split(",") if part.strip()]
    if len(types) > TYPES_MAX:
        raise Invalid(f"Name at most {TYPES_MAX} types.", field="types")
    check(types)
    return types


def as_query(types: Sequence[str]) -> dict[str, list[str]]:
    """The names and the prefixes; not the topics that we know, since the log may hold those of a newer release."""
    return {"names": [*types], "prefixes": [prefix for each in types if (prefix := prefix_of(each))]}


def prefix_of(each: str) -> str | None:
    """`order.` of `order.*`; None of a name."""
    return each.removesuffix("*") if each.endswith(".*") else None


def _shown(each: str) -> str:
    return repr(each) if each.isascii() and each.isprintable() and len(each) <= 64 else "like this"
