"""docs/messages.md: every message with its key, its fields and its consumers, from the message classes."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from redis.asyncio import Redis

from ticketing.docgen.message_shapes import kinds, shape_of
from ticketing.infra import mail
from ticketing.infra.outbox import Message
from ticketing.workers.consumers import groups

_HEAD = """\
# Messages

Generated from the message classes by `make docs`; [messages.json](messages.json) has the same for programs.

A message says in the past tense that state has changed. It is written to the outbox log in the transaction that makes
the change. This page lists all of them.

## Guarantees

- **Nothing is lost.** A message that was committed is published, however often processes crash on the way.
- **Delivery is at least once.** A redelivered message keeps its `message_id`. A consumer that stores the ids it has
  handled, in the transaction of the effect, has each effect once.
- **Order.** Messages of one topic with the same key arrive in the order in which they were written; over Kafka they
  are in one partition. A repeated message comes after everything older, so a consumer that skips known ids sees that
  order. There is no order between keys or between topics.
- **Shapes are stable.** Within a `schema_version` fields are added, but never removed, renamed or given another type,
  and a field that is always present stays present. An enumeration may get more values. Any other change is a new
  version: handle the versions you know, set newer ones aside, and never drop them. Ignore unknown fields.
- **No names and no addresses.** Personal data cannot be erased from a log, so it is never in it; ask the API by id.
- **Money** is an integer in minor units of `currency` (ISO 4217), **times** are RFC 3339 in UTC, **ids** are UUIDs.

## Envelope

Over Kafka the topic is as below, key and headers are UTF-8 text, and the value is the fields as JSON. A message that a
consumer cannot handle goes to `<topic>.dlq` with its key, value and headers unchanged, and `dlq_` headers that say why;
if that is more than a broker accepts, without value and headers, and with `dlq_value_bytes` and `dlq_value_sha256`.

- **Compression** is lz4: a client needs the codec (in Java it is included; for others, check the build).
- **The partition** of a key is CRC32 (zlib's) of its UTF-8 bytes modulo the number of partitions: librdkafka's
  `consistent_random`. Java's default is murmur2, so a Java program that joins these topics with its own by partition
  must copy one of them with its own keys. Readers need not know the partition.
- **Reading only**: grant write access to these topics to the platform alone. A record that names another organization
  in its payload than in its headers becomes a dead letter, and one that is forged well is processed.

| header | meaning |
|---|---|
| `message_id` | the message's id, the same on every delivery |
| `occurred_at` | when the transaction that made the change began |
| `schema_version` | the version of the fields |
| `correlation_id` | of the request that caused it, as in `X-Correlation-ID` and in the logs |
| `traceparent` | W3C Trace Context of that request; may be empty |
| `actor` | the user, API key, device or system process that caused it; may be empty |
| `organization_id` | the tenant; empty for messages about user accounts |
"""


def render(_: str = "") -> str:
    """The whole page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    by_topic = _consumers_by_topic()
    yield _HEAD
    for module, of_module in groupby(kinds(), key=_module):
        yield f"## `{module}`\n"
        for kind in of_module:
            yield from _section(kind, by_topic.get(kind.topic, []))


def _module(kind: type[Message]) -> str:
    return kind.__module__.split(".")[2]


def _consumers_by_topic() -> dict[str, list[str]]:
    """The consumer groups of this code, by topic."""
    found: dict[str, list[str]] = {}
    for group in groups(Redis(), mail.TerminalMailer()):  # no connection is opened: nothing runs
        for topic in group.topics:
            found.setdefault(topic, []).append(group.name)
    return found


def _section(kind: type[Message], consumers: list[str]) -> Iterator[str]:
    shape = shape_of(kind)
    names = ", ".join(consumers) if consumers else "none here"
    yield f"### `{kind.topic}`\n"
    yield f"{' '.join((kind.__doc__ or '').split())}\n"
    yield f"`{kind.__name__}`, version {kind.schema_version}, key `{kind.key_field}`. Consumers: {names}.\n"
    yield "| field | type | | meaning |"
    yield "|---|---|---|---|"
    for name, type_ in shape["fields"].items():
        presence = "" if name in shape["always"] else "optional"
        yield f"| `{name}` | {_type_of(type_)} | {presence} | {kind.model_fields[name].description or ''} |"
    yield ""


def _type_of(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(map(_type_of, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type_of(schema['items'])}"
    name: str = schema["type"]
    return {"uuid": "UUID", "date-time": "time"}.get(schema.get("format", ""), name)
