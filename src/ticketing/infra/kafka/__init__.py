"""The Kafka client: settings, topics and records."""

from ticketing.infra.kafka.client import (
    DEAD_LETTER_SUFFIX,
    RECORD_AGE_MAX_SECONDS,
    KafkaUnavailable,
    client_settings,
    ensure_topics,
    shorten_switch_interval,
)
from ticketing.infra.kafka.records import Record

__all__ = [
    "DEAD_LETTER_SUFFIX",
    "RECORD_AGE_MAX_SECONDS",
    "KafkaUnavailable",
    "Record",
    "client_settings",
    "ensure_topics",
    "shorten_switch_interval",
]
