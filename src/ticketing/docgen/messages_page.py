"""Prints docs/messages.md, the registry of messages, from their classes: `make docs`, or this file with the path.

A test compares the two, so the document says what the code does.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from ticketing.docgen.message_shapes import kinds, shape_of
from ticketing.infra import mail
from ticketing.infra.outbox import Message
from ticketing.workers.consumers import groups

_HEAD = """\
# Messages

Every change of state is a fact, in the past tense, that is written in the transaction that made it true. This is the
list of all of them. It is printed from the classes by `make docs`; [messages.json](messages.json) has the same for
programs.

## What you may rely on

- **Nothing is lost.** A fact that committed is published, however often anything falls over on the way.
- **It may come more than once.** The same fact always has the same `message_id`: whoever remembers those that are
  done, in the transaction of the effect, has each effect once.
- **Order.** Messages of one topic with the same key come in the order in which they were written; over Kafka they are
  in one partition. A repetition comes behind everything that is older than it, so whoever skips known ids sees that
  order. Between keys and between topics there is no order.
- **Shapes stay.** Within a `schema_version`, fields are added and never removed, renamed or given another type, and
  what is always there stays there. A field that is one of several words may get more words. Everything else is a new
  version: read those you know, put newer ones aside, and never drop them. Ignore fields that you don't know.
- **No names and no addresses.** The log can't be cleaned of a person, so it never has them; ask the API by the ids.
- **Money** is an integer in minor units of `currency` (ISO 4217), **times** are RFC 3339 in UTC, **ids** are UUIDs.

## What comes with each

Over Kafka the topic is as below, the key and these headers are UTF-8 text, and the value is the fields as JSON. What a
consumer gives up is on `<topic>.dlq`, with its key, value and headers as they were and `dlq_` headers that say why.

| header | meaning |
|---|---|
| `message_id` | the fact's name, the same however often it comes |
| `occurred_at` | when the transaction began that made it true |
| `schema_version` | the version of the fields |
| `correlation_id` | of the request that caused it, as in `X-Correlation-ID` and in the logs |
| `traceparent` | W3C Trace Context of that request; may be empty |
| `actor` | who did it: a person, a key, a device, or the system; may be empty |
| `organization_id` | whose fact it is; empty for facts about people |
"""


def render() -> str:
    """The whole document."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    reacting = _reacting()
    yield _HEAD
    for module, of_module in groupby(kinds(), key=_module):
        yield f"## {module.capitalize()}\n"
        for kind in of_module:
            yield from _section(kind, reacting.get(kind.topic, []))


def _module(kind: type[Message]) -> str:
    return kind.__module__.split(".")[2]


def _reacting() -> dict[str, list[str]]:
    """The consumer groups of this code, by topic."""
    found: dict[str, list[str]] = {}
    for group in groups(Redis(), mail.Terminal()):  # nobody is connected to, for nothing runs
        for topic in group.topics:
            found.setdefault(topic, []).append(group.name)
    return found


def _section(kind: type[Message], consumers: list[str]) -> Iterator[str]:
    shape = shape_of(kind)
    reacts = ", ".join(consumers) if consumers else "nobody here"
    yield f"### `{kind.topic}`\n"
    yield f"{' '.join((kind.__doc__ or '').split())}\n"
    yield f"`{kind.__name__}`, version {kind.schema_version}, key `{kind.key_field}`. Reacts: {reacts}.\n"
    yield "| field | type | | meaning |"
    yield "|---|---|---|---|"
    for name, type_ in shape["fields"].items():
        presence = "" if name in shape["always"] else "optional"
        yield f"| `{name}` | {_words(type_)} | {presence} | {kind.model_fields[name].description or ''} |"
    yield ""


def _words(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_words, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{word}`" for word in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_words(schema['items'])}"
    name: str = schema["type"]
    return {"uuid": "UUID", "date-time": "time"}.get(schema.get("format", ""), name)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render())
