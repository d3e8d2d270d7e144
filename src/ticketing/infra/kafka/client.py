"""Kafka carries the log to consumer groups: topics are ensured, every delivery is acknowledged, headers are kept."""

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

DEAD_LETTER_SUFFIX = ".dlq"
DEAD_LETTER_RETENTION_DAYS = 90
ADMIN_SECONDS = 10
#: A broker refuses a record that bears an older time: what a stopped process still had in hand when it wakes up.
LATE_SECONDS = 5.25

#: librdkafka is waited for on threads, and what they bring waits for the interpreter first: so long at most while the
#: loop is busy. Python's own 5 ms, a few times over, were a quarter of the way from a commit to its effect.
SWITCH_SECONDS = 0.001

_log = log.get_logger(__name__)


class KafkaUnavailable(Exception):
    """No broker answered in time."""


def take_turns() -> None:
    """Once in a process whose threads speak to Kafka."""
    sys.setswitchinterval(SWITCH_SECONDS)


def client_settings(bootstrap: str, name: str) -> dict[str, Any]:
    """What every client of ours has in common. Outages are told by us, once a try, and not ten times a second."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": f"ticketing-{name}",
        "logger": logging.getLogger("ticketing.kafka"),
        "log_level": 2,
        "error_cb": _on_error,
        "reconnect.backoff.max.ms": 2000,
        # A broker that does not answer is left alone and asked anew; the library would wait for a minute.
        "socket.timeout.ms": 5_000,
    }


def _on_error(error: KafkaError) -> None:
    """Wrong credentials and the like; that a broker is away shows in what fails because of it."""
    if error.code() not in {KafkaError._TRANSPORT, KafkaError._RESOLVE, KafkaError._ALL_BROKERS_DOWN}:
        _log.warning("kafka_error", code=error.name(), error=error.str())


async def ensure_topics(
    bootstrap: str,
    topics: Iterable[str],
    *,
    partitions: int = 6,
    replication_factor: int = 1,
    patience_seconds: float = 60,
) -> None:
    """Create the topics and their `<topic>.dlq` unless they exist; waits while the broker is still starting.

    Raises:
        KafkaUnavailable: it did not answer within `patience_seconds`.
    """
    wanted = sorted(set(topics))
    in_time = {"message.timestamp.before.max.ms": str(int(LATE_SECONDS * 1000))}
    normal = [NewTopic(topic, partitions, replication_factor, config=in_time) for topic in wanted]
    # One partition: dead letters are few, and a person reads them in the order in which they came.
    retention = {"retention.ms": str(DEAD_LETTER_RETENTION_DAYS * 86_400_000)}
    dead = [NewTopic(t + DEAD_LETTER_SUFFIX, 1, replication_factor, config=retention) for t in wanted]
    await asyncio.to_thread(_create_topics, bootstrap, [*normal, *dead], patience_seconds)


def _create_topics(bootstrap: str, topics: list[NewTopic], patience_seconds: float) -> None:
    end = time.monotonic() + patience_seconds
    # The client must outlive its futures: they are cancelled with it.
    admin = AdminClient(client_settings(bootstrap, "admin"))
    while True:
        try:
            existing = admin.list_topics(timeout=min(ADMIN_SECONDS, max(1, end - time.monotonic()))).topics
            missing = [topic for topic in topics if topic.topic not in existing]
            for future in admin.create_topics(missing, request_timeout=ADMIN_SECONDS).values() if missing else ():
                _await_creation(future)
            return
        except KafkaException as error:
            if time.monotonic() > end:
                raise KafkaUnavailable(str(error)) from error
            time.sleep(0.5)


def _await_creation(future: Future[None]) -> None:
    try:
        future.result(ADMIN_SECONDS + 5)
    except KafkaException as error:
        # Another process was quicker, which is as good.
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


async def ping(bootstrap: str, patience_seconds: float = 2) -> None:
    """Ask for the brokers, for a health check. Raises KafkaUnavailable when none answers in time."""
    await asyncio.to_thread(_ping, bootstrap, patience_seconds)


def _ping(bootstrap: str, patience_seconds: float) -> None:
    try:
        AdminClient(client_settings(bootstrap, "ping")).list_topics(timeout=patience_seconds)
    except KafkaException as error:
        raise KafkaUnavailable(str(error)) from error
