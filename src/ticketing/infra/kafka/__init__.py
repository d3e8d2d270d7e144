"""The Kafka client: settings, topics and records."""

from ticketing.infra.kafka.client import (
    DEAD_LETTER_SUFFIX,
    LATE_SECONDS,
    KafkaUnavailable,
    client_settings,
    ensure_topics,
    ping,
    take_turns,
)
from ticketing.infra.kafka.records import Record

__all__ = [
    "DEAD_LETTER_SUFFIX",
    "LATE_SECONDS",
    "KafkaUnavailable",
    "Record",
    "client_settings",
    "ensure_topics",
    "ping",
    "take_turns",
]
