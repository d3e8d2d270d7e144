"""A consumer group that reads the log directly, without Kafka."""

import asyncio

from ticketing.infra import crash_points, log, metrics
from ticketing.infra.bus import dead_letters, raw_messages
from ticketing.infra.bus.attempts import Poison
from ticketing.infra.bus.batches import Deliverer, GroupBatcher
from ticketing.infra.bus.containment import Containment
from ticketing.infra.bus.delivery import AnyGroup, Group
from ticketing.infra.db import Database
from ticketing.infra.outbox import lease_owner
from ticketing.infra.outbox.encoded_rows import EncodedRow, decode, id_of, occurred_at_of
from ticketing.infra.outbox.reader import PAGE_ROWS, STANDBY_SECONDS, LeaseLost, LogReader
from ticketing.infra.system.retry import OUTAGES, Stopped, log_outage, run_until_stopped
from ticketing.infra.system.run_while import run_while
from ticketing.infra.system.sleep import pause

#: How often an idle consumer checks the log: a commit notification may be lost.
POLL_SECONDS = 1.0

_log = log.get_logger(__name__)


class LogConsumer:
    """Reads the log under the group's lease, and delivers messages in log order."""

    def __init__(self, database: Database, group: AnyGroup, wake: asyncio.Event, attempts_max: int) -> None:
        """`wake` is set by commit notifications. A message that fails `attempts_max` times becomes a dead letter."""
        self._database, self._group, self._wake, self._attempts_max = database, group, wake, attempts_max
        self.reader = LogReader(database, group.name, lease_owner.this_process(), group.topics)

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, through outages of the database."""

        async def step() -> None:
            try:
                if await self.reader.acquire():
                    await self._read(stop)
                else:
                    await pause(STANDBY_SECONDS, stop)
            except LeaseLost:
                _log.warning("lease_lost", group=self._group.name)

        await run_until_stopped(step, log_outage(_log, "log_unavailable", group=self._group.name), stop)
        await self._release()

    async def _read(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._wake.clear()  # before the read: a notification that arrives during it is not lost
            page = await self.reader.read_page()
            if page:
                await self.consume(page, stop)
                crash_points.at("after_effect_before_cursor")
                self.reader.acknowledge(id_of(page[-1]))
                metrics.record_read(self._group.name, len(page), occurred_at_of(page[-1]))
            if len(page) < PAGE_ROWS:
                await pause(self._group.pause_seconds, stop)
            if not page:
                await pause(POLL_SECONDS, stop, self._wake)
        await self.reader.settle()

    async def consume(self, page: list[EncodedRow], stop: asyncio.Event) -> None:
        """Deliver every message of a page; poison goes to the dead letters, and its neighbours are delivered.

        The lease is renewed meanwhile: one slow effect, such as an email, can outlast it, and another process would
        repeat the effect.

        Raises:
            Stopped: `stop` was set; the cursor has moved past the messages that were delivered.
            LeaseLost: another process has taken over; what was in progress was cancelled.
        """
        await run_while(self.reader.keep_lease(), self._consume(page, stop))

    async def _consume(self, page: list[EncodedRow], stop: asyncio.Event) -> None:
        containment = Containment(decode, lambda row, poison: self._bury(row, poison, stop))
        if not isinstance(self._group, Group):
            await containment.consume_all(self._database, self._group, page, stop)
            return
        batcher = GroupBatcher(self._database, self._group)
        deliverer, done = Deliverer(batcher, self._attempts_max, stop, self.reader.check_lease), 0
        try:
            while done < len(page):
                done += await containment.deliver_next(deliverer, page[done : done + deliverer.size])
        except Stopped:
            if done:
                await self.reader.advance(id_of(page[done - 1]))
            raise

    async def _bury(self, row: EncodedRow, poison: Poison, stop: asyncio.Event) -> None:
        await dead_letters.store_poison(self._database, self._group.name, raw_messages.from_row(row), poison, stop)

    async def _release(self) -> None:
        try:
            await self.reader.release()
        except OUTAGES as error:
            _log.info("lease_runs_out_by_itself", group=self._group.name, error=type(error).__name__)
