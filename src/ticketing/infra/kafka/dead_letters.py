"""Dead letters over Kafka: the record is copied to `<topic>.dlq`, and a row is written for the operator."""

import asyncio
import base64
from datetime import UTC, datetime
from hashlib import sha256
from uuid import NAMESPACE_URL, UUID, uuid5

from confluent_kafka import Message as KafkaMessage

from ticketing.infra import bus, crash_points, log
from ticketing.infra.bus.dead_letters import DeadLetter, format_error, make_dead_letter, store
from ticketing.infra.db import Database
from ticketing.infra.kafka.client import DEAD_LETTER_SUFFIX
from ticketing.infra.kafka.producer import DeliveryFailed, KafkaProducer
from ticketing.infra.kafka.records import Record, headers_of, read_delivery
from ticketing.infra.system.retry import retry

_log = log.get_logger(__name__)


class DeadLetters:
    """The dead letters of one consumer group."""

    def __init__(self, group: str, producer: KafkaProducer, database: Database, stop: asyncio.Event) -> None:
        self._group, self._producer, self._database, self._stop = group, producer, database, stop

    async def bury(self, message: KafkaMessage, poison: bus.Poison) -> None:
        """Publish the record and write the row, with retries: the message is not done before both exist.

        A crash in between publishes the record again; the row is written once.

        Raises:
            Stopped: `stop` was set first; the message will be redelivered.
        """
        record, row = dead_letter(message, self._group, poison), describe(message, self._group, poison)

        async def attempt() -> None:
            await self._producer.publish([record])
            crash_points.at("after_dead_letter_before_row")
            await store(self._database, row)

        await retry(attempt, self._on_error, self._stop)
        crash_points.at("after_dead_letter_before_offset")

    def _on_error(self, error: Exception) -> None:
        if not isinstance(error, (DeliveryFailed, *bus.OUTAGES)):
            raise error
        reason = str(error) if isinstance(error, DeliveryFailed) else type(error).__name__
        _log.warning("dead_letter_waits", group=self._group, error=reason)


def dead_letter(message: KafkaMessage, group: str, poison: bus.Poison) -> Record:
    """Key, value and headers are kept; headers about an earlier failure are replaced."""
    origin = {
        "dlq_group": group,
        "dlq_error": format_error(poison.error),
        "dlq_attempts": str(poison.attempts),
        "dlq_topic": str(message.topic()),
        "dlq_partition": str(message.partition()),
        "dlq_offset": str(message.offset()),
        "dlq_failed_at": datetime.now(UTC).isoformat(),
    }
    kept = [(name, value) for name, value in headers_of(message) if name not in origin]
    added = [(name, value.encode()) for name, value in origin.items()]
    return Record(str(message.topic()) + DEAD_LETTER_SUFFIX, message.key(), message.value(), kept + added)


def describe(message: KafkaMessage, group: str, poison: bus.Poison) -> DeadLetter:
    """The row for the operator, also for a record that the relay did not write."""
    place = f"{message.topic()}/{message.partition()}/{message.offset()}"
    try:
        delivery = read_delivery(message)
    except ValueError:
        return _foreign_letter(message, group, poison, place)
    # JSON columns can't store this character; the relay never writes it.
    is_storable = "\0" not in delivery.key and b"\\u0000" not in (message.value() or b"")
    return (
        make_dead_letter(group, delivery, poison, place)
        if is_storable
        else _foreign_letter(message, group, poison, place)
    )


def _foreign_letter(message: KafkaMessage, group: str, poison: bus.Poison, place: str) -> DeadLetter:
    return DeadLetter(
        consumer=group,
        organization_id=None,
        topic=str(message.topic()),
        key=(message.key() or b"").decode(errors="replace").replace("\0", "\ufffd"),
        message_id=_id_of(message, place),
        message={
            "value": _as_text(message.value()),
            "headers": [[name.replace("\0", "\ufffd"), _as_text(value)] for name, value in headers_of(message)],
        },
        error=format_error(poison.error),
        attempts=poison.attempts,
        origin=place,
    )


def _id_of(message: KafkaMessage, place: str) -> UUID:
    """A stable id. The offset alone is ambiguous: a broker that lost its disk reuses offsets."""
    return uuid5(NAMESPACE_URL, f"{place}/{message.timestamp()}/{sha256(message.value() or b'').hexdigest()}")


def _as_text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
