"""The topics that a tenant can ask for, by name or by a prefix such as `order.*`."""

from collections.abc import Collection, Iterable, Iterator

from ticketing.infra.errors import Invalid
from ticketing.infra.outbox import Message

#: More than anybody lists; there are fewer topics than this.
TYPES_MAX = 100


def known_topics(parent: type[Message] = Message) -> Iterator[str]:
    """The topic of every message that some module publishes."""
    for message in parent.__subclasses__():
        if hasattr(message, "topic"):
            yield message.topic
        yield from known_topics(message)


def expand(types: Iterable[str], field: str = "types") -> list[str] | None:
    """The topics that are meant; None, for all of them, when nothing is listed.

    Raises:
        Invalid: naming `field`, when there is no such topic.
    """
    known, found = set(known_topics()), set[str]()
    for each in types:
        meant = {topic for topic in known if matches(topic, [each])}
        if not meant:
            raise Invalid(f"There is no type {_shown(each)}; see the list of messages.", field=field)
        found |= meant
    return sorted(found) or None


def matches(topic: str, types: Collection[str]) -> bool:
    """Whether the topic is listed, by its name or by a prefix; an empty list means all."""
    return not types or any(
        topic == each or (each.endswith(".*") and topic.startswith(each.removesuffix("*"))) for each in types
    )


def split(listed: str) -> list[str]:
    """The types of a query, which separates them by commas. Raises Invalid."""
    types = [part.strip() for part in listed.split(",") if part.strip()]
    if len(types) > TYPES_MAX:
        raise Invalid(f"Name at most {TYPES_MAX} types.", field="types")
    return types


def _shown(each: str) -> str:
    return repr(each) if each.isascii() and each.isprintable() and len(each) <= 64 else "like this"
