"""Rows of the log as Postgres prints them: one string per row, its columns between separators.

A page stays one string until it is used: building eleven objects per row costs as much as sending the row. The relay
passes the columns on to Kafka as they are; consumers that read the log decode them into deliveries.
"""

from datetime import datetime
from uuid import UUID

import orjson

from ticketing.infra.outbox.message import Delivery

EncodedRow = str

#: Control characters that no topic, id or JSON text contains: JSON escapes them.
ROW_SEPARATOR, COLUMN_SEPARATOR = "\x1e", "\x1f"
COLUMNS = 11

#: SQL that prints a row of `outbox`. A time in JSON does not depend on the session's DateStyle.
ENCODE_ROW = f"""concat_ws(E'{COLUMN_SEPARATOR}', id, topic, key, payload, message_id, to_json(occurred_at),
                 schema_version, correlation_id, traceparent, actor, coalesce(cast(organization_id as text), ''))"""


def split_columns(row: EncodedRow) -> list[str]:
    """The columns in the order of ENCODE_ROW."""
    return row.split(COLUMN_SEPARATOR)


def id_of(row: EncodedRow) -> int:
    return int(row[: row.index(COLUMN_SEPARATOR)])


def topic_of(row: EncodedRow) -> str:
    return row.split(COLUMN_SEPARATOR, 2)[1]


def occurred_at_of(row: EncodedRow) -> datetime | None:
    """When a row was written; None if Python can't express its time."""
    try:
        return datetime.fromisoformat(row.split(COLUMN_SEPARATOR, 6)[5][1:-1])
    except (ValueError, IndexError):
        return None


def split_page(page: str) -> list[EncodedRow]:
    """The rows of a page.

    No message that the platform publishes contains a separator. If another program has written one, its row is put
    together again, so that it fails by itself and not with its page.
    """
    rows = page.split(ROW_SEPARATOR)
    if all(row.count(COLUMN_SEPARATOR) == COLUMNS - 1 for row in rows):
        return rows
    whole = rows[:1]
    for row in rows[1:]:
        begins = whole[-1].count(COLUMN_SEPARATOR) >= COLUMNS - 1 and row.partition(COLUMN_SEPARATOR)[0].isdecimal()
        if begins:
            whole.append(row)
        else:
            whole[-1] += ROW_SEPARATOR + row
    return whole


def record_parts(row: EncodedRow) -> tuple[str, str, str, dict[str, str]]:
    """Topic, key, payload and headers of the Kafka record of a row. Raises ValueError if it is malformed."""
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
    return topic, key, payload, headers


def decode(row: EncodedRow) -> Delivery:
    """The delivery that a row encodes. Raises ValueError: its values are none that the platform writes."""
    log_id, topic, key, payload, message_id, occurred_at, version, correlation_id, traceparent, actor, organization = (
        split_columns(row)
    )
    return Delivery(
        message_id=UUID(message_id),
        topic=topic,
        key=key,
        schema_version=int(version),
        occurred_at=datetime.fromisoformat(occurred_at[1:-1]),
        organization_id=UUID(organization) if organization else None,
        payload=orjson.loads(payload),
        correlation_id=correlation_id,
        traceparent=traceparent,
        actor=actor,
        log_id=int(log_id),
    )


def encode(delivery: Delivery) -> EncodedRow:
    """The inverse of `decode`, for a delivery that is published again."""
    columns = (
        delivery.log_id,
        delivery.topic,
        delivery.key,
        orjson.dumps(delivery.payload).decode(),
        delivery.message_id,
        orjson.dumps(delivery.occurred_at).decode(),
        delivery.schema_version,
        delivery.correlation_id,
        delivery.traceparent,
        delivery.actor,
        delivery.organization_id or "",
    )
    return COLUMN_SEPARATOR.join(map(str, columns))
