"""Kafka carries the log to consumer groups: topics are ensured, every delivery is acknowledged, headers are kept."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic  # The admin package does not export it to type checkers.

from ticketing.infra import log
from ticketing.infra.outbox import Delivery

DEAD_LETTER_SUFFIX = ".dlq"
DEAD_LETTER_RETENTION_DAYS = 90
ADMIN_SECONDS = 10
#: Well below the outbox lease, so that a relay which can't publish gives up before another may take over.
PUBLISH_SECONDS = 3.0

PRODUCER_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    # A record that fails must not be overtaken by those behind it: the producer stops and is thrown away.
    "enable.gapless.guarantee": True,
    "linger.ms": 5,
    "compression.type": "zstd",
}

_log = log.get_logger(__name__)


class KafkaUnavailable(Exception):
    """No broker answered in time."""


class DeliveryFailed(Exception):
    """Not every record was acknowledged. Any number of them may be in the log all the same, in their order."""


@dataclass(frozen=True, slots=True)
class Record:
    """What Kafka stores."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]

    @classmethod
    def of(cls, delivery: Delivery) -> "Record":
        headers = {
            "message_id": str(delivery.message_id),
            "occurred_at": delivery.occurred_at.isoformat(),
            "schema_version": str(delivery.schema_version),
            "correlation_id": delivery.correlation_id,
            "traceparent": delivery.traceparent,
            "actor": delivery.actor,
            "organization_id": str(delivery.organization_id or ""),
        }
        pairs = [(name, value.encode()) for name, value in headers.items()]
        return cls(delivery.topic, delivery.key.encode(), orjson.dumps(delivery.payload), pairs)


def read_delivery(message: KafkaMessage) -> Delivery:
    """The delivery that a record stands for.

    Raises:
        ValueError: it was not written by our relay: a header is missing or is not what it says.
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
    """The record's headers; several of one name are possible, and their order is kept."""
    return list(message.headers() or [])  # type: ignore[arg-type]


def client_settings(bootstrap: str, name: str) -> dict[str, Any]:
    """What every client of ours has in common. Outages are told by us, once a try, and not ten times a second."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": f"ticketing-{name}",
        "logger": logging.getLogger("ticketing.kafka"),
        "log_level": 2,
        "error_cb": _on_error,
        "reconnect.backoff.max.ms": 2000,
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
    normal = [NewTopic(topic, partitions, replication_factor) for topic in wanted]
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


class KafkaProducer:
    """Publishes batches and returns only when each record is on all in-sync replicas.

    librdkafka blocks, so it lives on a thread of its own: the shared pool is small, and passwords are hashed there.
    """

    def __init__(self, bootstrap: str, name: str) -> None:
        self._settings = client_settings(bootstrap, name) | PRODUCER_SETTINGS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{name}")
        self._producer: Producer | None = None

    async def publish(self, records: Sequence[Record]) -> None:
        """Publish in this order, per key.

        Raises:
            DeliveryFailed: publish them all again; whoever reads them knows repetitions by their message id.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, records)

    async def close(self) -> None:
        """Let go of the connection; nothing is waiting to be sent, because `publish` waits."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._discard)
        self._thread.shutdown(wait=False)

    def _publish(self, records: Sequence[Record]) -> None:
        errors: list[str] = []

        def on_delivery(error: KafkaError | None, _: KafkaMessage) -> None:
            if error is not None:
                errors.append(error.str())

        if self._producer is None:
            self._producer = Producer(self._settings)
        try:
            for record in records:
                self._producer.produce(
                    record.topic, record.value, record.key, headers=list(record.headers), on_delivery=on_delivery
                )
            unsettled = self._producer.flush(PUBLISH_SECONDS)
        except (KafkaException, BufferError) as error:
            unsettled, errors = len(records), [str(error)]
        if unsettled or errors:
            # What is still queued must not leave later, behind records that are published again by then.
            self._discard()
            raise DeliveryFailed(f"{unsettled} of {len(records)} records not acknowledged: {errors[:1]}")

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.purge()
            producer.flush(1)
            producer.close()
