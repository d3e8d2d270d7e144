"""Publishes batches of records: every record is acknowledged, or the rest of the batch is discarded."""

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
from ticketing.infra.system.outside_calls import assert_no_transaction

#: Well below the lease duration, so that a relay which can't publish stops before another may take over.
PUBLISH_SECONDS = 3.0

PRODUCER_SETTINGS: dict[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    # Records after one that failed must not be sent: the producer raises a fatal error, and is replaced.
    "enable.gapless.guarantee": True,
    # Counted from `produce` by a clock that runs while the process is stopped: when a process resumes too late, its
    # queued records have expired, and none is sent.
    "message.timeout.ms": int(PUBLISH_SECONDS * 1000),
    "request.timeout.ms": int(PUBLISH_SECONDS * 1000),
    # Records without an error were delivered; a report for each would cost as much as sending it.
    "delivery.report.only.error": True,
    # For records in the middle of a page; `flush` ends the wait. Small batches cost the broker twice as much.
    "linger.ms": 50,
    "compression.type": "lz4",
    # CRC32 of the key, librdkafka's default. Another partitioner would move keys to other partitions, where their new
    # messages overtake old ones; readers rely on it (docs/messages.md).
    "partitioner": "consistent_random",
}

#: Errors for a record that the broker will never accept; every other error is an outage.
_REFUSALS = {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD}

#: A fatal error is raised by any call that runs callbacks; a bug of the library wraps it in a SystemError.
_RAISED = (KafkaException, SystemError)


class DeliveryFailed(Exception):
    """Not every record was acknowledged. Any number of them may have been published all the same, in order."""


class RecordRefused(DeliveryFailed):
    """The broker will never accept one of these records."""


class KafkaProducer:
    """Publishes batches and returns only when each record is on all in-sync replicas.

    librdkafka blocks, so it has its own thread: the shared thread pool is small, and also hashes passwords.
    """

    def __init__(self, bootstrap: str, name: str) -> None:
        self.bootstrap = bootstrap
        self._settings = client_settings(bootstrap, name) | PRODUCER_SETTINGS
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"kafka-{name}")
        self._producer: Producer | None = None
        self._errors: list[KafkaError] = []

    async def publish(self, records: Iterable[Record], until: float = math.inf, at: float | None = None) -> None:
        """Publish in this order, per key. Nothing is sent later than PUBLISH_SECONDS after `until` (`time.monotonic`).

        `at` is the timestamp of the records (`time.time`; None: the time of each `produce`). The broker rejects records
        older than RECORD_AGE_MAX_SECONDS.

        Raises:
            DeliveryFailed: publish all of them again; consumers recognize repetitions by the message id.
            RecordRefused: publishing all of them again would fail as well.
        """
        assert_no_transaction("the Kafka producer")
        await asyncio.get_running_loop().run_in_executor(self._thread, self._publish, records, until, at)

    async def close(self) -> None:
        """Close the connection; nothing is queued, because `publish` waits."""
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
            pass  # the queue is full: records were not sent in time
        except Exception as error:
            # A record that can't be encoded. Those before it must not be sent later.
            self._discard()
            raise RecordRefused(f"a record can't be encoded: {type(error).__name__}: {error}") from error
        if unsettled or self._errors or not is_whole:
            if self._errors or (self._producer is not None and len(self._producer) > 0):
                # Queued records must not be sent later, after records that are published again by then.
                self._discard()
            raise self._failure(unsettled)

    def _connect(self) -> Producer:
        """A connected producer: connecting does not count towards the timeout of the records."""
        if self._producer is None:
            producer = Producer(self._settings)
            producer.list_topics(timeout=PUBLISH_SECONDS)
            self._producer = producer
        return self._producer

    def _enqueue(self, producer: Producer, records: Iterable[Record], until: float, at: int) -> bool:
        """False when `until` passed first. Checked before each record: the process may be stopped between any two."""
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
        return kind(f"{max(unsettled, len(self._errors))} records not acknowledged: {reasons or 'timed out'}")

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            for act in (producer.purge, partial(producer.flush, 1), producer.close):
                with suppress(*_RAISED):
                    act()
