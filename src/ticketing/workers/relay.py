"""The relay carries the outbox log to Kafka: in order, one process at a time, its cursor behind the acknowledgements.

A record may be published twice, after a failure or by a relay that was paused while another took over; none is left
out. Each copy comes behind everything older, so a reader that skips known message ids sees the order of the log.
"""

import asyncio
import os
import socket
import time
from collections.abc import Iterator

from ticketing.infra import bus, crash_points, log, metrics, redis
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, new_id
from ticketing.infra.kafka import (
    PUBLISH_SECONDS,
    DeliveryFailed,
    KafkaProducer,
    KafkaUnavailable,
    Record,
    ensure_topics,
)
from ticketing.infra.nudge import Wake
from ticketing.infra.outbox import LEASE_SECONDS, STANDBY_SECONDS, Delivery, LeaseLost, LogReader, Message
from ticketing.infra.pause import pause

READER = "relay"
POLL_SECONDS = 1.0
OUTAGE_PAUSE_SECONDS = 1.0
#: A page older than this is read again and not published: another relay might take over before it is acknowledged.
PAGE_SECONDS_MAX = 1.5
assert PAGE_SECONDS_MAX + PUBLISH_SECONDS < LEASE_SECONDS - 1, "a successor may publish while we still do"  # noqa: S101

_OUTAGES = (DeliveryFailed, KafkaUnavailable, *bus.OUTAGES)
_log = log.get_logger(__name__)


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Relay until `stop` is set. Without Kafka there is nothing to carry: the consumers read the log themselves."""
    if not settings.is_distributed:
        return
    connection = redis.connect(settings)
    wake = Wake(connection)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, READER)
    reader = LogReader(database, READER, f"{socket.gethostname()}:{os.getpid()}:{new_id()}")
    try:
        async with wake.listening():
            await Relay(settings, reader, producer, wake.register(), stop).run()
    finally:
        await producer.close()
        await connection.aclose()


def known_topics(parent: type[Message] = Message) -> Iterator[str]:
    """The topic of every message that some module publishes."""
    for message in parent.__subclasses__():
        if hasattr(message, "topic"):
            yield message.topic
        yield from known_topics(message)


class Relay:
    """Carries pages from the log to Kafka while the lease is held, and stands by while another relay holds it."""

    def __init__(
        self,
        settings: Settings,
        reader: LogReader,
        producer: KafkaProducer,
        wake: asyncio.Event,
        stop: asyncio.Event,
    ) -> None:
        self._settings, self._reader, self._producer = settings, reader, producer
        self._wake, self._stop = wake, stop
        self._ensured: set[str] = set()

    async def run(self) -> None:
        """Until `stop` is set; an outage of the broker or the database is waited for, however long it lasts."""
        while not self._stop.is_set():
            try:
                if await self._reader.acquire():
                    # At every start over: a broker that lost its disk has lost its topics too.
                    self._ensured.clear()
                    await self._ensure(set(known_topics()))
                    await self.carry()
                else:
                    await pause(STANDBY_SECONDS, self._stop)
            except LeaseLost:
                _log.warning("lease_lost", group=READER)
            except _OUTAGES as error:
                # An outage is not the messages' fault: they wait in the log for as long as it lasts.
                _log.warning("relay_waits", error=type(error).__name__, reason=str(error)[:500])
                await pause(OUTAGE_PAUSE_SECONDS, self._stop)
        await self._release()

    async def carry(self) -> None:
        """Page after page until `stop` is set; raises LeaseLost when another relay has taken over."""
        while not self._stop.is_set():
            # Cleared before the read: a nudge that comes during it is not lost.
            self._wake.clear()
            read_at = time.monotonic()
            page = await self._reader.read()
            if page:
                await self._carry_page(page, read_at)
            else:
                await pause(POLL_SECONDS, self._wake, self._stop)

    async def _carry_page(self, page: list[Delivery], read_at: float) -> None:
        await self._ensure({delivery.topic for delivery in page})
        if time.monotonic() - read_at > PAGE_SECONDS_MAX:
            return
        crash_points.at("before_produce")
        await self._producer.publish([Record.of(delivery) for delivery in page])
        crash_points.at("after_produce_before_cursor")
        await self._reader.advance(page[-1].log_id)
        metrics.tell_read(READER, len(page), page[-1].occurred_at)

    async def _ensure(self, topics: set[str]) -> None:
        """Also for a page: the log may hold facts of a newer version, whose topics nobody here knows."""
        if missing := topics - self._ensured:
            await ensure_topics(
                self._settings.kafka_bootstrap_servers,
                missing,
                partitions=self._settings.kafka_partitions,
                replication_factor=self._settings.kafka_replication_factor,
                patience_seconds=5,
            )
            self._ensured |= missing

    async def _release(self) -> None:
        try:
            await self._reader.release()
        except bus.OUTAGES as error:
            _log.info("lease_runs_out_by_itself", group=READER, error=type(error).__name__)
