"""The relay publishes the outbox log to Kafka: in order, from one process at a time, at least once.

The cursor moves after the broker has acknowledged. A record may be published twice, after a failure or by a relay that
was paused while another took over; none is skipped. Each copy follows everything older, so a consumer that ignores
known message ids sees the order of the log.
"""

import asyncio
import time
from collections.abc import Sequence

from ticketing.infra import bus, crash_points, log, metrics, redis
from ticketing.infra.bus import dead_letters, raw_messages
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, new_id
from ticketing.infra.kafka import RECORD_AGE_MAX_SECONDS, KafkaUnavailable, ensure_topics
from ticketing.infra.kafka.producer import PUBLISH_SECONDS, DeliveryFailed, KafkaProducer, RecordRefused
from ticketing.infra.kafka.records import is_topic, record_of
from ticketing.infra.outbox import known_topics, lease_owner
from ticketing.infra.outbox.encoded_rows import EncodedRow, id_of, occurred_at_of, topic_of
from ticketing.infra.outbox.reader import LEASE_SECONDS, PAGE_ROWS, STANDBY_SECONDS, LeaseLost, LogReader
from ticketing.infra.redis.commit_notifications import CommitListener
from ticketing.infra.system.retry import OUTAGES, run_until_stopped
from ticketing.infra.system.sleep import pause

READER = "relay"
#: Poll interval, in case a commit notification is lost: short after a page, then doubling up to the maximum.
POLL_MIN_SECONDS, POLL_MAX_SECONDS = 0.01, 1.0
#: Pause after a page that was not full, so that the next page has more rows.
REST_SECONDS = 0.01
#: Deadline after the renewal of the lease for handing a page to librdkafka, which has PUBLISH_SECONDS more to send it.
PAGE_SECONDS_MAX = 1.5
PAGE_ROWS_MAX = 10_000
#: Pages grow until publishing one takes this long: far below the deadline, as the broker may become slower.
PAGE_SECONDS = 0.3
assert PAGE_SECONDS_MAX + PUBLISH_SECONDS < RECORD_AGE_MAX_SECONDS, "the broker may reject records that are in time"
assert RECORD_AGE_MAX_SECONDS < LEASE_SECONDS, "a successor may publish while this process still does"

_log = log.get_logger(__name__)


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Relay until `stop` is set. Without Kafka there is nothing to do: consumers read the log directly."""
    if not settings.is_distributed:
        return
    connection = redis.connect(settings)
    wake = CommitListener(connection)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, READER)
    reader = LogReader(database, READER, f"{lease_owner.this_process()}:{new_id()}")
    try:
        async with wake.listening():
            await Relay(settings, reader, producer, wake.register(), stop).run()
    finally:
        await producer.close()
        await connection.aclose()


def next_page_rows(page_rows: int, rows: int, seconds: float) -> int:
    """The new page size: at most twice the current `page_rows`, given that publishing `rows` took `seconds`."""
    return max(PAGE_ROWS, min(int(rows / seconds * PAGE_SECONDS), 2 * page_rows, PAGE_ROWS_MAX))


class Relay:
    """Publishes pages of the log to Kafka while it holds the lease, and is on standby while another relay holds it."""

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
        self._poll_seconds = POLL_MIN_SECONDS

    async def run(self) -> None:
        """Relay until `stop` is set, through outages of the broker and the database."""
        await run_until_stopped(self._acquire_and_relay, _on_outage, self._stop)
        await self._release()

    async def _acquire_and_relay(self) -> None:
        try:
            if await self._reader.acquire():
                # After every outage: a broker that lost its disk has lost its topics too.
                self._ensured.clear()
                await self._ensure(set(known_topics()))
                await self.relay_pages()
            else:
                await pause(STANDBY_SECONDS, self._stop)
        except LeaseLost:
            _log.warning("lease_lost", group=READER)

    async def relay_pages(self) -> None:
        """Publish page after page until `stop` is set. Raises LeaseLost when another relay has taken over."""
        page = await self._reader.read_page()
        while not self._stop.is_set():
            if page:
                page = await self._relay_page(page)
            else:
                await self._wait()
                page = await self._reader.read_page()
        await self._reader.settle()

    async def _relay_page(self, page: list[EncodedRow]) -> list[EncodedRow]:
        """Publish a page while the next one is read; returns the next page."""
        await self._ensure(set(map(topic_of, page)))
        sending = asyncio.create_task(self._deliver(page))
        try:
            ahead = await self._reader.read_page()
        finally:
            # Even if the read failed: two pages must never be published concurrently.
            await sending
        crash_points.at("after_produce_before_cursor")
        self._reader.acknowledge(id_of(page[-1]))
        metrics.record_read(READER, len(page), occurred_at_of(page[-1]))
        if ahead:
            return ahead
        # Rows that are written during the pause are published together.
        await pause(REST_SECONDS, self._stop)
        self._poll_seconds = POLL_MIN_SECONDS
        return await self._reader.read_page()

    async def _deliver(self, page: Sequence[EncodedRow]) -> None:
        """Publish rows; one that the broker will never accept becomes a dead letter."""
        try:
            await self._publish(page)
        except RecordRefused as refusal:
            if len(page) == 1:
                await self._store_dead_letter(page[0], refusal)
                return
            # Bisect to find it. Rows that were published before it are published again, after older ones.
            half = len(page) // 2
            await self._deliver(page[:half])
            await self._deliver(page[half:])

    async def _publish(self, page: Sequence[EncodedRow]) -> None:
        if time.monotonic() > self._reader.held_at + PAGE_SECONDS_MAX / 2:
            await self._reader.renew()
        until = self._reader.held_at + PAGE_SECONDS_MAX
        crash_points.at("before_produce")
        began_at = time.monotonic()
        with metrics.RELAY_PUBLISH_SECONDS.time():
            await self._producer.publish(map(record_of, page), until, self._reader.held_at_time)
        self._reader.page_rows = next_page_rows(self._reader.page_rows, len(page), time.monotonic() - began_at)

    async def _store_dead_letter(self, row: EncodedRow, error: Exception) -> None:
        await dead_letters.store(self._reader.database, READER, raw_messages.from_row(row), bus.Poison(error, 1))

    async def _wait(self) -> None:
        """Wait for a commit notification, or until the poll interval has passed.

        The interval is short at first: a committed row may be held back by another transaction that is about to end.
        """
        await pause(self._poll_seconds, self._wake, self._stop)
        self._poll_seconds = POLL_MIN_SECONDS if self._wake.is_set() else min(2 * self._poll_seconds, POLL_MAX_SECONDS)
        # Cleared before the read: a notification that arrives during it is not lost.
        self._wake.clear()

    async def _ensure(self, topics: set[str]) -> None:
        """Create missing topics; also for each page: a newer release may have written messages with unknown topics."""
        # A row with another name becomes a dead letter when it is published.
        if missing := set(filter(is_topic, topics)) - self._ensured:
            await ensure_topics(
                self._settings.kafka_bootstrap_servers,
                missing,
                partitions=self._settings.kafka_partitions,
                replication_factor=self._settings.kafka_replication_factor,
                timeout_seconds=5,
            )
            self._ensured |= missing

    async def _release(self) -> None:
        try:
            await self._reader.release()
        except OUTAGES as error:
            _log.info("lease_runs_out_by_itself", group=READER, error=type(error).__name__)


def _on_outage(error: Exception) -> None:
    if not isinstance(error, (DeliveryFailed, KafkaUnavailable, *OUTAGES)):
        raise error
    # The messages are not at fault: they wait in the log for as long as the outage lasts.
    metrics.RELAY_WAITS.labels(type(error).__name__).inc()
    _log.warning("relay_waits", error=type(error).__name__, reason=str(error)[:500])
