"""The relay carries the outbox log to Kafka: in order, one process at a time, its cursor behind the acknowledgements.

A record may be published twice, after a failure or by a relay that was paused while another took over; none is left
out. Each copy comes behind everything older, so a reader that skips known message ids sees the order of the log.
"""

import asyncio
import time
from collections.abc import Sequence

from ticketing.infra import bus, crash_points, log, metrics, redis
from ticketing.infra.bus import dead_letters
from ticketing.infra.config import Settings
from ticketing.infra.db import Database, new_id
from ticketing.infra.kafka import LATE_SECONDS, KafkaUnavailable, ensure_topics
from ticketing.infra.kafka.producer import PUBLISH_SECONDS, DeliveryFailed, KafkaProducer, RecordRefused
from ticketing.infra.kafka.records import record_of
from ticketing.infra.outbox import known_topics, lease_owner
from ticketing.infra.outbox.encoded_rows import EncodedRow, decode, id_of, topic_of
from ticketing.infra.outbox.reader import LEASE_SECONDS, PAGE_ROWS, STANDBY_SECONDS, LeaseLost, LogReader
from ticketing.infra.redis.commit_notifications import Wake
from ticketing.infra.retry import OUTAGES, run_until_stopped
from ticketing.infra.system.sleep import pause

READER = "relay"
#: Between nudges a relay looks by itself, for one may be lost: soon after there was something, and ever more rarely.
LOOK_SECONDS, POLL_SECONDS = 0.01, 1.0
#: After a page that was not full.
REST_SECONDS = 0.01
#: So long after the lease was renewed does the last record of a page go to librdkafka, which has PUBLISH_SECONDS more.
PAGE_SECONDS_MAX = 1.5
PAGE_ROWS_MAX = 10_000
#: A page is as large as goes through in this time: far from the limit, and the way to the broker may become slow.
PAGE_SECONDS = 0.3
assert PAGE_SECONDS_MAX + PUBLISH_SECONDS < LATE_SECONDS, "a broker may refuse what is in time"
assert LATE_SECONDS < LEASE_SECONDS, "a successor may publish while we still do"

_log = log.get_logger(__name__)


async def run(settings: Settings, database: Database, stop: asyncio.Event) -> None:
    """Relay until `stop` is set. Without Kafka there is nothing to carry: the consumers read the log themselves."""
    if not settings.is_distributed:
        return
    connection = redis.connect(settings)
    wake = Wake(connection)
    producer = KafkaProducer(settings.kafka_bootstrap_servers, READER)
    reader = LogReader(database, READER, f"{lease_owner.this_process()}:{new_id()}")
    try:
        async with wake.listening():
            await Relay(settings, reader, producer, wake.register(), stop).run()
    finally:
        await producer.close()
        await connection.aclose()


def fitting(page_rows: int, rows: int, seconds: float) -> int:
    """How large pages may be from now on, where they had `page_rows` at most, and `rows` of them took so long."""
    return max(PAGE_ROWS, min(int(rows / seconds * PAGE_SECONDS), 2 * page_rows, PAGE_ROWS_MAX))


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
        self._look_seconds = LOOK_SECONDS

    async def run(self) -> None:
        """Relay until `stop` is set, through outages of the broker and the database."""
        await run_until_stopped(self._acquire_and_carry, _on_outage, self._stop)
        await self._release()

    async def _acquire_and_carry(self) -> None:
        try:
            if await self._reader.acquire():
                # After every outage: a broker that lost its disk has lost its topics too.
                self._ensured.clear()
                await self._ensure(set(known_topics()))
                await self.carry()
            else:
                await pause(STANDBY_SECONDS, self._stop)
        except LeaseLost:
            _log.warning("lease_lost", group=READER)

    async def carry(self) -> None:
        """Page after page until `stop` is set; raises LeaseLost when another relay has taken over."""
        page = await self._reader.read_page()
        while not self._stop.is_set():
            if page:
                page = await self._carry_page(page)
            else:
                await self._wait()
                page = await self._reader.read_page()
        await self._reader.settle()

    async def _carry_page(self, page: list[EncodedRow]) -> list[EncodedRow]:
        """Publish it while the next one is read, and return that."""
        await self._ensure(set(map(topic_of, page)))
        sending = asyncio.create_task(self._deliver(page))
        try:
            ahead = await self._reader.read_page()
        finally:
            # Whatever became of the reading: no two pages are ever under way.
            await sending
        crash_points.at("after_produce_before_cursor")
        self._reader.acknowledge(id_of(page[-1]))
        metrics.record_read(READER, len(page), decode(page[-1]).occurred_at)
        if ahead:
            return ahead
        # Whatever is written meanwhile is carried together.
        await pause(REST_SECONDS, self._stop)
        self._look_seconds = LOOK_SECONDS
        return await self._reader.read_page()

    async def _deliver(self, page: Sequence[EncodedRow]) -> None:
        """Publish these; one that the broker will never take goes to the dead letters, and the log goes on."""
        try:
            await self._publish(page)
        except RecordRefused as refusal:
            if len(page) == 1:
                await self._bury(page[0], refusal)
                return
            # In halves, to find it. What was published before it is published again, behind what is older.
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
        self._reader.page_rows = fitting(self._reader.page_rows, len(page), time.monotonic() - began_at)

    async def _bury(self, row: EncodedRow, refusal: RecordRefused) -> None:
        poison = bus.Poison(refusal, 1)
        letter = dead_letters.letter(READER, decode(row), poison, f"outbox/{id_of(row)}")
        await dead_letters.keep(self._reader.database, letter)

    async def _wait(self) -> None:
        """Until a nudge comes; and look by ourselves, soon at first, for a fact may wait for another transaction."""
        await pause(self._look_seconds, self._wake, self._stop)
        self._look_seconds = LOOK_SECONDS if self._wake.is_set() else min(2 * self._look_seconds, POLL_SECONDS)
        # Cleared before the read: a nudge that comes during it is not lost.
        self._wake.clear()

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
        except OUTAGES as error:
            _log.info("lease_runs_out_by_itself", group=READER, error=type(error).__name__)


def _on_outage(error: Exception) -> None:
    if not isinstance(error, (DeliveryFailed, KafkaUnavailable, *OUTAGES)):
        raise error
    # The messages are not at fault: they wait in the log for as long as the outage lasts.
    metrics.RELAY_WAITS.labels(type(error).__name__).inc()
    _log.warning("relay_waits", error=type(error).__name__, reason=str(error)[:500])
