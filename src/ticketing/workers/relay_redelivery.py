"""Replays dead letters of the relay: records that the broker rejected are published again."""

from ticketing.infra import bus
from ticketing.infra.db import Database
from ticketing.infra.kafka.producer import DeliveryFailed, KafkaProducer, RecordRefused
from ticketing.infra.kafka.records import record_of
from ticketing.infra.outbox import Delivery, encoded_rows, known_topics
from ticketing.workers import relay


class Republish:
    """A consumer group for the replay of dead letters; its effect is a record on Kafka, which may be repeated."""

    name = relay.READER
    pause_seconds = 0.0

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self.topics = sorted(set(known_topics()))

    async def consume(self, database: Database, deliveries: list[Delivery]) -> None:
        """Publish the messages. Raises RecordRefused, or Retry while the broker is unavailable."""
        try:
            await self._producer.publish([record_of(encoded_rows.encode(delivery)) for delivery in deliveries])
        except RecordRefused:
            raise
        except DeliveryFailed as error:
            raise bus.Retry(str(error)) from None
