"""Dead letters on Kafka: the message as it came, on `<topic>.dlq`, with headers that say who gave it up and why."""

import asyncio
from datetime import UTC, datetime

from confluent_kafka import Message as KafkaMessage

from ticketing.infra import bus, crash_points, log, metrics
from ticketing.infra.dead_letters import tell_error
from ticketing.infra.kafka import DEAD_LETTER_SUFFIX, DeliveryFailed, KafkaProducer, Record, headers_of
from ticketing.infra.pause import pause

_log = log.get_logger(__name__)


class DeadLetters:
    """Where one consumer group puts what it gives up."""

    def __init__(self, group: str, producer: KafkaProducer, stop: asyncio.Event) -> None:
        self._group, self._producer, self._stop = group, producer, stop

    async def bury(self, message: KafkaMessage, poison: bus.Poison) -> None:
        """Publish it, for as long as that takes: a message is not done before its dead letter is acknowledged.

        Raises:
            Stopped: `stop` was set first; the message is delivered again.
        """
        record = dead_letter(message, self._group, poison)
        waits = 0
        while True:
            try:
                await self._producer.publish([record])
                break
            except DeliveryFailed as error:
                _log.warning("dead_letter_waits", group=self._group, topic=record.topic, error=str(error))
            await pause(bus.backoff_seconds(waits), self._stop)
            waits += 1
            if self._stop.is_set():
                raise bus.Stopped
        crash_points.at("after_dead_letter_before_offset")
        metrics.DEAD_LETTERS.labels(self._group, message.topic()).inc()
        _log.error("dead_letter", group=self._group, topic=message.topic(), error=repr(poison.error)[:500])

    async def close(self) -> None:
        await self._producer.close()


def dead_letter(message: KafkaMessage, group: str, poison: bus.Poison) -> Record:
    """Key, value and headers stay as they were; a letter that was replayed tells of its last failure only."""
    origin = {
        "dlq_group": group,
        "dlq_error": tell_error(poison.error),
        "dlq_attempts": str(poison.attempts),
        "dlq_topic": str(message.topic()),
        "dlq_partition": str(message.partition()),
        "dlq_offset": str(message.offset()),
        "dlq_failed_at": datetime.now(UTC).isoformat(),
    }
    kept = [(name, value) for name, value in headers_of(message) if name not in origin]
    added = [(name, value.encode()) for name, value in origin.items()]
    return Record(str(message.topic()) + DEAD_LETTER_SUFFIX, message.key(), message.value(), kept + added)
