"""Dead letters over Kafka: the record is copied to `<topic>.dlq`, and a row is written for the operator.

The row is what an operator replays; the copy is for other readers of Kafka. Where the broker responds and still does
not accept the copy, the row alone suffices, so that no partition stops for ever.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256

from confluent_kafka import Message as KafkaMessage

from ticketing.infra import bus, crash_points, log
from ticketing.infra.bus.dead_letters import first_possible, store_poison
from ticketing.infra.bus.error_text import format_error
from ticketing.infra.bus.raw_messages import RawMessage
from ticketing.infra.db import Database
from ticketing.infra.kafka.client import DEAD_LETTER_SUFFIX, KafkaUnavailable, TopicsRefused, ensure_dead_letter_topic
from ticketing.infra.kafka.producer import DeliveryFailed, KafkaProducer, RecordRefused
from ticketing.infra.kafka.records import Record, raw_message
from ticketing.infra.system.retry import Retry, retry

#: Failed attempts to publish a copy while the broker responds to other requests.
ATTEMPTS_MAX = 3
#: A larger key is left out of a copy without its value.
KEY_BYTES_MAX = 1000

_log = log.get_logger(__name__)


class DeadLetters:
    """The dead letters of one consumer group."""

    def __init__(
        self,
        group: str,
        producer: KafkaProducer,
        database: Database,
        stop: asyncio.Event,
        replication_factor: int = 1,
    ) -> None:
        self._group, self._producer, self._database, self._stop = group, producer, database, stop
        self._replication_factor = replication_factor

    async def bury(self, message: KafkaMessage, poison: bus.Poison) -> None:
        """Publish the copy and write the row, with retries: the message is not done before.

        A crash in between publishes the copy again; the row is written once.

        Raises:
            Stopped: `stop` was set first; the message will be redelivered.
        """
        raw = raw_message(message)
        await self._publish(message, raw, poison)
        crash_points.at("after_dead_letter_before_row")
        await store_poison(self._database, self._group, raw, poison, self._stop)
        crash_points.at("after_dead_letter_before_offset")

    async def _publish(self, message: KafkaMessage, raw: RawMessage, poison: bus.Poison) -> None:
        """Publish the copy, whole or without its value, unless the broker responds and accepts neither."""
        failures, forms = 0, [partial(form, message, raw, self._group, poison) for form in (copy, reference)]

        async def attempt() -> None:
            try:
                await first_possible(forms, self._send)
            except Retry:
                # Its topic may have been deleted.
                await ensure_dead_letter_topic(
                    self._producer.bootstrap, raw.topic, replication_factor=self._replication_factor
                )
                raise

        def on_error(error: Exception) -> None:
            nonlocal failures
            _log.warning("dead_letter_waits", group=self._group, origin=raw.origin, error=str(error)[:500])
            if isinstance(error, TopicsRefused) or not isinstance(error, KafkaUnavailable):
                failures += 1
            if failures >= ATTEMPTS_MAX:
                raise error

        try:
            await retry(attempt, on_error, self._stop)
        except (Retry, KafkaUnavailable) as error:
            _log.error("dead_letter_not_published", group=self._group, origin=raw.origin, error=str(error)[:500])

    async def _send(self, record: Record) -> None:
        try:
            await self._producer.publish([record])
        except RecordRefused:
            raise
        except DeliveryFailed as error:
            raise Retry(str(error)) from error


def copy(message: KafkaMessage, raw: RawMessage, group: str, poison: bus.Poison) -> Record:
    """Key, value and headers are kept; headers about an earlier failure are replaced."""
    origin = _origin(message, group, poison)
    kept = [(name, value) for name, value in raw.headers if name not in origin]
    return Record(raw.topic + DEAD_LETTER_SUFFIX, raw.key, raw.value, [*kept, *origin.items()])


def reference(message: KafkaMessage, raw: RawMessage, group: str, poison: bus.Poison) -> Record:
    """The size and the hash of the value, without it and without the record's own headers."""
    value = raw.value or b""
    about = {"dlq_value_bytes": b"%d" % len(value), "dlq_value_sha256": sha256(value).hexdigest().encode()}
    key = raw.key if len(raw.key or b"") <= KEY_BYTES_MAX else None
    return Record(raw.topic + DEAD_LETTER_SUFFIX, key, None, [*(_origin(message, group, poison) | about).items()])


def _origin(message: KafkaMessage, group: str, poison: bus.Poison) -> dict[str, bytes | None]:
    origin = {
        "dlq_group": group,
        "dlq_error": format_error(poison.error),
        "dlq_attempts": str(poison.attempts),
        "dlq_topic": str(message.topic()),
        "dlq_partition": str(message.partition()),
        "dlq_offset": str(message.offset()),
        "dlq_failed_at": datetime.now(UTC).isoformat(),
    }
    return {name: value.encode() for name, value in origin.items()}
