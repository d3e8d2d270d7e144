"""Kafka records: what the relay makes of a row of the log, and what a consumer makes of a record."""

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from operator import methodcaller
from typing import NamedTuple

from confluent_kafka import Message as KafkaMessage

from ticketing.infra.bus import raw_messages
from ticketing.infra.bus.raw_messages import RawMessage
from ticketing.infra.kafka.client import DEAD_LETTER_SUFFIX
from ticketing.infra.outbox import Delivery
from ticketing.infra.outbox.encoded_rows import EncodedRow, record_parts


class Record(NamedTuple):
    """What Kafka stores. Strings are stored as UTF-8."""

    topic: str
    key: str | bytes | None
    value: str | bytes | None
    headers: Mapping[str, str] | list[tuple[str, bytes | None]]


def record_of(row: EncodedRow) -> Record:
    """The record of a row of the log. Header values are text, as `read_delivery` expects them.

    Raises:
        ValueError: the platform did not write this row: it has separators in its values, or no name of a topic.
    """
    record = Record(*record_parts(row))
    if not is_topic(record.topic):
        raise ValueError(f"{record.topic[:100]!r} cannot be the name of a topic")
    return record


@lru_cache(maxsize=1024)
def is_topic(name: str) -> bool:
    """Whether a broker accepts this name, and that of the topic for its dead letters."""
    return _TOPIC.fullmatch(name) is not None and name not in {".", ".."}


_TOPIC = re.compile(rf"[A-Za-z0-9._-]{{1,{249 - len(DEAD_LETTER_SUFFIX)}}}")


def read_delivery(message: KafkaMessage) -> Delivery:
    """The delivery that a record encodes.

    Raises:
        ValueError: the relay did not write this record.
    """
    return raw_messages.read(message.topic() or "", message.key(), message.value(), headers_of(message))


def raw_message(message: KafkaMessage) -> RawMessage:
    """A record that may contain anything. Never raises."""
    topic, value, headers = message.topic() or "", message.value(), headers_of(message)
    origin = f"{topic}/{message.partition()}/{message.offset()}"
    delivery = None
    with suppress(ValueError):
        delivery = read_delivery(message)
    # The offset alone is ambiguous: a broker that lost its disk reuses offsets.
    unique = raw_messages.stable_id(f"{origin}/{message.timestamp()}", value)
    return RawMessage(topic, message.key(), value, headers, origin, unique, delivery)


def headers_of(message: KafkaMessage) -> list[tuple[str, bytes | None]]:
    """The record's headers in their order; a name may occur more than once."""
    return list(message.headers() or [])  # type: ignore[arg-type]


def check_headers(message: KafkaMessage) -> KafkaMessage:
    """Remove headers that the client library cannot return. Call it first, for each record that was fetched.

    The library decodes the names as UTF-8. Where it fails, the first call returns an error and a result at once, and
    the second a list with null pointers, which ends the process.
    """
    try:
        _call_headers(message)
    except (SystemError, UnicodeDecodeError):
        message.set_headers([])
    return message


#: The interpreter does not check the result of a direct call once it has optimized it; the error would be raised later.
_call_headers = methodcaller("headers")
