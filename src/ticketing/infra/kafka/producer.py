"""Batches of records for Kafka: each is acknowledged, or none of them may leave any more."""

import asyncio
import math
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from ticketing.infra import crash_points
from ticketing.infra.kafka.client import client_settings
from ticketing.infra.kafka.records import Record

#: Well below the outbox lease, so that a relay which can't publish gives up before another may take over.
PUBLISH_SECONDS = 3.0

PRODUCER_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    # A record that fails must not be overtaken by those behind it: the producer stops and is thrown away.
    "enable.gapless.guarantee": True,
    # Counted from `produce` on by a clock that goes on while the process is stopped: who wakes up too late finds that
    # what waited has expired, and sends none of it.
    "message.timeout.ms": int(PUBLISH_SECONDS * 1000),
    "request.timeout.ms": int(PUBLISH_SECONDS * 1000),
    # Those that went well are the ones that did not fail; to be told so of each would cost as much as to send it.
    "delivery.report.only.error": True,
    # While a page is handed over; its end waits for nothing. Small batches cost the broker twice as much.
    "linger.ms": 50,
    "compression.type": "lz4",
}

#: What a broker answers to a record that it will never take; everything else is an outage.
_REFUSALS = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD}

#: A fatal error is raised by whatever serves callbacks, and by a flaw of the library around the next callback's answer.
_RAISED = (KafkaException, SystemError)


class DeliveryFailed(Exception):
    """Not every record was acknowledged. Any number of them may be in the log all the same, in their order."""


class RecordRefused(DeliveryFailed):
    """The broker will never take one of these records, however often it is sent."""


class KafkaProducer:
    """Publishes batches and returns only when each record is on all in-sync replicas.

    librdkafka blocks, so it lives on a thread of its own: the shared pool is small, and passwords are hashed there.
    """

    def __init__(self, bootstrap: str, name: str) -> None:
        self._settings = client_settings(bootstrap, name) | PRODUCER_SETTINGS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{name}")
        self._producer: Producer | None = None
        self._errors: list[KafkaError] = []

    async def publish(self, records: Iterable[Record], until: float = math.inf, at: float | None = None) -> None:
        """Publish in this order, per key. Nothing leaves later than PUBLISH_SECONDS after `until` (`time.monotonic`).

        They bear the time `at` (`time.time`; None: when each is handed over), and a broker takes none that is older
        than LATE_SECONDS.

        Raises:
            DeliveryFailed: publish them all again; whoever reads them knows repetitions by their message id.
            RecordRefused: the same, but to publish them all again is in vain.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, records, until, at)

    async def close(self) -> None:
        """Let go of the connection; nothing is waiting to be sent, because `publish` waits."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._discard)
        self._thread.shutdown(wait=False)

    def _publish(self, records: Iterable[Record], until: float, at: float | None) -> None:
        self._errors, is_whole, unsettled = [], False, 0
        try:
            producer = self._connect()
            is_whole = self._enqueue(producer, records, until, 0 if at is None else round(1000 * at))
            unsettled = producer.flush(PUBLISH_SECONDS) if is_whole else len(producer)
        except _RAISED as error:
            self._errors += [cause.args[0] for cause in (error, error.__cause__) if isinstance(cause, KafkaException)]
        except BufferError:
            pass  # more than fits: what there is has not left in time
        if unsettled or self._errors or not is_whole:
            if self._errors or (self._producer is not None and len(self._producer) > 0):
                # What is still queued must not leave later, behind records that are published again by then.
                self._discard()
            raise self._failure(unsettled)

    def _connect(self) -> Producer:
        """A producer that knows its brokers: what they take to answer at first is no record's time."""
        if self._producer is None:
            producer = Producer(self._settings)
            producer.list_topics(timeout=PUBLISH_SECONDS)
            self._producer = producer
        return self._producer

    def _enqueue(self, producer: Producer, records: Iterable[Record], until: float, at: int) -> bool:
        """False when the time was up first. It is looked at before each record: we may be stopped between any two."""
        produce, clock, on_delivery = producer.produce, time.monotonic, self._on_delivery
        for topic, key, value, headers in records:
            crash_points.at("amid_produce")
            if clock() > until:
                return False
            produce(topic, value, key, on_delivery=on_delivery, timestamp=at, headers=headers)  # type: ignore[arg-type]
        return True

    def _on_delivery(self, error: KafkaError | None, _: KafkaMessage) -> None:
        if error is not None:
            self._errors.append(error)

    def _failure(self, unsettled: int) -> DeliveryFailed:
        kind = RecordRefused if any(error.code() in _REFUSALS for error in self._errors) else DeliveryFailed
        reasons = sorted({error.name() for error in self._errors})[:5]
        return kind(f"{max(unsettled, len(self._errors))} records not acknowledged: {reasons or 'the time was up'}")

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            for act in (producer.purge, partial(producer.flush, 1), producer.close):
                with suppress(*_RAISED):
                    act()
