"""Settings that all Kafka clients share, and the creation of topics."""

import asyncio
import logging
import sys
import time
from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic  # The admin package does not export it to type checkers.

from ticketing.infra import log
from ticketing.infra.system.outside_calls import assert_no_transaction

DEAD_LETTER_SUFFIX = ".dlq"
DEAD_LETTER_RETENTION_DAYS = 90
ADMIN_SECONDS = 10
#: A broker rejects a record with an older timestamp: what a process that was stopped still had buffered.
RECORD_AGE_MAX_SECONDS = 5.25

#: Calls to librdkafka block threads, and their results wait for the interpreter lock: at most this long while the event
#: loop is busy. Python's default of 5 ms, several times per message, was a quarter of the delay from commit to effect.
SWITCH_SECONDS = 0.001

_log = log.get_logger(__name__)


class KafkaUnavailable(Exception):
    """No broker responded in time."""


class TopicsRefused(KafkaUnavailable):
    """A broker responded, and did not create the topics: this client may not, or a name or setting is invalid."""


def shorten_switch_interval() -> None:
    """Call once in a process that uses a Kafka client (see SWITCH_SECONDS)."""
    sys.setswitchinterval(SWITCH_SECONDS)


def client_settings(bootstrap: str, name: str) -> dict[str, Any]:
    """Settings of every client. Its own log is quiet: callers log an outage once per attempt, not 10 times a second."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": f"ticketing-{name}",
        "logger": logging.getLogger("ticketing.kafka"),
        "log_level": 2,
        "error_cb": _on_error,
        "reconnect.backoff.max.ms": 2000,
        # Reconnect to a broker that does not respond. The default is one minute.
        "socket.timeout.ms": 5_000,
    }


def _on_error(error: KafkaError) -> None:
    """Log wrong credentials and the like. An unavailable broker shows in the calls that fail because of it."""
    if error.code() not in {KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._ALL_BROKERS_DOWN}:
        _log.warning("kafka_error", code=error.name(), error=error.str())


async def ensure_topics(
    bootstrap: str,
    topics: Iterable[str],
    *,
    partitions: int = 6,
    replication_factor: int = 1,
    timeout_seconds: float = 60,
) -> None:
    """Create the topics and their `<topic>.dlq` unless they exist; retries while the broker is starting.

    Raises:
        KafkaUnavailable: no broker responded within `timeout_seconds`.
        TopicsRefused: one responded, and did not create them.
    """
    assert_no_transaction("the Kafka admin client")
    names = sorted(set(topics))
    max_age = {"message.timestamp.before.max.ms": str(int(RECORD_AGE_MAX_SECONDS * 1000))}
    normal = [NewTopic(topic, partitions, replication_factor, config=max_age) for topic in names]
    dead = [_dead_letter_topic(topic, replication_factor) for topic in names]
    await asyncio.to_thread(_create_topics, bootstrap, [*normal, *dead], timeout_seconds)


async def ensure_dead_letter_topic(
    bootstrap: str, topic: str, *, replication_factor: int = 1, timeout_seconds: float = 5
) -> None:
    """Create `<topic>.dlq` unless it exists. Raises KafkaUnavailable or TopicsRefused."""
    missing = [_dead_letter_topic(topic, replication_factor)]
    await asyncio.to_thread(_create_topics, bootstrap, missing, timeout_seconds)


def _dead_letter_topic(topic: str, replication_factor: int) -> NewTopic:
    # One partition: dead letters are few, and are read in the order in which they were published.
    retention = {"retention.ms": str(DEAD_LETTER_RETENTION_DAYS * 86_400_000)}
    return NewTopic(topic + DEAD_LETTER_SUFFIX, 1, replication_factor, config=retention)


def _create_topics(bootstrap: str, topics: list[NewTopic], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    # The client must outlive its futures, which are cancelled when it is destroyed.
    admin = AdminClient(client_settings(bootstrap, "admin"))
    responded = False
    while True:
        try:
            existing = admin.list_topics(timeout=min(ADMIN_SECONDS, max(1, deadline - time.monotonic()))).topics
            responded = True
            missing = [topic for topic in topics if topic.topic not in existing]
            for future in admin.create_topics(missing, request_timeout=ADMIN_SECONDS).values() if missing else ():
                _await_creation(future)
            return
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise (TopicsRefused if responded else KafkaUnavailable)(str(error)) from error
            time.sleep(0.5)


def _await_creation(future: Future[None]) -> None:
    try:
        future.result(ADMIN_SECONDS + 5)
    except KafkaException as error:
        # Created by another process meanwhile.
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
