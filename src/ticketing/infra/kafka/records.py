"""Kafka records: what the relay makes of a row of the log, and what a consumer makes of a record."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from confluent_kafka import Message as KafkaMessage

from ticketing.infra.outbox import Delivery
from ticketing.infra.outbox.encoded_rows import EncodedRow, split_columns


class Record(NamedTuple):
    """What Kafka stores. Strings are stored as UTF-8."""

    topic: str
    key: str | bytes | None
    value: str | bytes | None
    headers: Mapping[str, str] | list[tuple[str, bytes]]


def record_of(row: EncodedRow) -> Record:
    """The record of a row of the log. Header values are text, as `read_delivery` expects them."""
    _, topic, key, payload, message_id, occurred_at, version, correlation_id, traceparent, actor, organization_id = (
        split_columns(row)
    )
    headers = {
        "message_id": message_id,
        "occurred_at": occurred_at[1:-1],
        "schema_version": version,
        "correlation_id": correlation_id,
        "traceparent": traceparent,
        "actor": actor,
        "organization_id": organization_id,
    }
    return Record(topic, key, payload, headers)


def read_delivery(message: KafkaMessage) -> Delivery:
    """The delivery that a record encodes.

    Raises:
        ValueError: the relay did not write this record: a header is missing or malformed.
    """
    headers = {name: (value or b"").decode() for name, value in headers_of(message)}
    try:
        return Delivery(
            message_id=UUID(headers["message_id"]),
            topic=message.topic() or "",
            key=(message.key() or b"").decode(),
            schema_version=int(headers["schema_version"]),
            occurred_at=datetime.fromisoformat(headers["occurred_at"]),
            organization_id=UUID(headers["organization_id"]) if headers["organization_id"] else None,
            payload=orjson.loads(message.value() or b""),
            correlation_id=headers.get("correlation_id", ""),
            traceparent=headers.get("traceparent", ""),
            actor=headers.get("actor", ""),
        )
    except KeyError as missing:
        raise ValueError(f"the header {missing} is missing") from None


def headers_of(message: KafkaMessage) -> list[tuple[str, bytes]]:
    """The record's headers in their order; a name may occur more than once."""
    return list(message.headers() or [])  # type: ignore[arg-type]
