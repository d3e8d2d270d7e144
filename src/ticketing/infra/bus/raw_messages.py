"""Messages as bytes, before anything is known about them: a row of the log, or a record of Kafka that anyone wrote.

Both have the form of a record, so the same function reads them, and the same dead letter can keep them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import NAMESPACE_URL, UUID, uuid5

import orjson

from ticketing.infra.outbox import Delivery
from ticketing.infra.outbox.encoded_rows import EncodedRow, decode, id_of, record_parts, topic_of

#: The relay publishes nothing larger: it is the limit of its client. A larger record would also block the event loop
#: while it is parsed.
VALUE_BYTES_MAX = 1_000_000
REQUIRED = ("message_id", "schema_version", "occurred_at", "organization_id")
#: What the columns `schema_version` can store.
SCHEMA_VERSIONS = range(1, 2**15)
#: A key or a header of a message: short, and without characters that separate the columns of a row (encoded_rows.py) or
#: that Postgres can't store. A handler's own messages inherit these values.
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{0,500}")

Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it arrived."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    #: Where it was read: `outbox/4711`, or `topic/partition/offset` in Kafka.
    origin: str
    #: The id of a message that cannot be read: the same each time.
    id_if_unreadable: UUID
    #: What it says; None if it cannot be read.
    delivery: Delivery | None

    @property
    def message_id(self) -> UUID:
        return self.delivery.message_id if self.delivery else self.id_if_unreadable


def from_row(row: EncodedRow) -> RawMessage:
    """A row of the log. Never raises."""
    origin = f"outbox/{id_of(row)}"
    try:
        topic, key, payload, names = record_parts(row)
        headers = [(name, value.encode()) for name, value in names.items()]
        value, key_bytes = payload.encode(), key.encode()
    except ValueError:
        topic, key_bytes, value, headers = topic_of(row), b"", row.encode(), []
    try:
        delivery = decode(row)
    except ValueError:
        delivery = None
    return RawMessage(topic, key_bytes, value, headers, origin, _id_in(headers) or stable_id(origin, value), delivery)


def _id_in(headers: Headers) -> UUID | None:
    """The id of a message whose other values may be unreadable; Postgres has checked it."""
    return next((UUID((value or b"").decode()) for name, value in headers if name == "message_id"), None)


def stable_id(place: str, value: bytes | None) -> UUID:
    """An id made of the place and the content."""
    return uuid5(NAMESPACE_URL, f"{place}/{sha256(value or b'').hexdigest()}")


def read(topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Delivery:
    """The delivery that a record encodes.

    Raises:
        ValueError: the relay did not write this record: it is too large, or a header is missing or malformed.
    """
    if len(value or b"") > VALUE_BYTES_MAX:
        raise ValueError(f"the value has {len(value or b'')} bytes, and the relay writes at most {VALUE_BYTES_MAX}")
    # Other headers are left alone: a client may add any, in any encoding.
    named = dict(headers)
    for name in REQUIRED:
        if name not in named:
            raise ValueError(f"the header '{name}' is missing")
    organization = _text("organization_id", named["organization_id"])
    delivery = Delivery(
        message_id=UUID(_text("message_id", named["message_id"])),
        topic=topic,
        key=_text("key", key),
        schema_version=int(_text("schema_version", named["schema_version"])),
        occurred_at=datetime.fromisoformat(_text("occurred_at", named["occurred_at"])),
        organization_id=UUID(organization) if organization else None,
        payload=orjson.loads(value or b""),
        correlation_id=_text("correlation_id", named.get("correlation_id")),
        traceparent=_text("traceparent", named.get("traceparent")),
        actor=_text("actor", named.get("actor")),
    )
    if delivery.schema_version not in SCHEMA_VERSIONS:
        raise ValueError(f"the header 'schema_version' is outside 1 to {SCHEMA_VERSIONS[-1]}")
    if delivery.occurred_at.tzinfo is None:
        raise ValueError("the header 'occurred_at' has no time zone")
    if not isinstance(delivery.payload, dict):
        raise ValueError("the value is not a JSON object")
    return delivery


def _text(name: str, value: bytes | None) -> str:
    text = (value or b"").decode()
    if not _TEXT.fullmatch(text):
        raise ValueError(f"the {name} has more than 500 characters, or control characters")
    return text
