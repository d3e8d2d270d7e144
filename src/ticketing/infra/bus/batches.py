"""Several messages of one group in one transaction, because a commit costs more than most effects.

All of them commit, each with its inbox row, or none does. After any error the transaction is rolled back and the same
messages are delivered one by one: the failing one is identified, and the others succeed. The inbox rows are written
first, in order: another process with the same messages (a partition that changes hands, a process that was stopped and
resumes) waits at the first row for this commit, so effects keep their order between processes too.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import crash_points, log, metrics
from ticketing.infra.bus import delivery as bus
from ticketing.infra.bus.attempts import bounded_attempt
from ticketing.infra.bus.delivery import (
    UNLIMITED,
    Caused,
    ExternalGroup,
    Group,
    Handler,
    OwnershipCheck,
    Together,
    always_owned,
    cause_of,
    caused_by,
    record_outcome,
)
from ticketing.infra.db import Database, statements
from ticketing.infra.db.pipeline import send
from ticketing.infra.outbox import Delivery, Message
from ticketing.infra.system.retry import Stopped

#: A batch takes no further message after this time. A long transaction holds its row locks against requests, and every
#: reader of the log waits for the oldest writing transaction: 32 slow effects would delay all of them.
BATCH_SECONDS = 0.02

_log = log.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _PendingBatch:
    """The next messages of one source, and how many of them were delivered; 0: deliver them one by one."""

    deliveries: Sequence[Delivery]
    delivered: int | None = None


class GroupBatcher:
    """Runs the transactions of one group, one at a time. Sources that arrive meanwhile share the next one.

    Six partitions with one message each would otherwise cost six commits.
    """

    def __init__(self, database: Database, group: Group, slots: AbstractAsyncContextManager[None] = UNLIMITED) -> None:
        """`slots` limits how many transactions are open at a time, together with other batchers."""
        self.database, self.group, self.slots = database, group, slots
        self._max = 1 if isinstance(group, ExternalGroup) else group.batch_max
        #: Size of the next batch: what BATCH_SECONDS last allowed, and growing since.
        self.size = self._max
        self._waiting: list[_PendingBatch] = []
        self._lock = asyncio.Lock()

    async def deliver(self, deliveries: Sequence[Delivery]) -> int:
        """Deliver the first of these in one transaction; how many, or 0: deliver them one by one."""
        if self._max == 1:
            return 0
        self._waiting.append(pending := _PendingBatch(deliveries))
        try:
            # The lock is fair: when it is acquired, this batch was delivered along, or is the first that was not.
            async with self._lock:
                if pending.delivered is None:
                    await asyncio.sleep(0)  # for sources that arrive in the same iteration of the event loop
                    await self._deliver_waiting()
        finally:
            if pending.delivered is None:
                self._waiting.remove(pending)
        assert pending.delivered is not None  # it was the first
        return pending.delivered

    async def _deliver_waiting(self) -> None:
        waiting = self._waiting.copy()
        batch = [delivery for pending in waiting for delivery in pending.deliveries][: self.size]
        delivered = await self._deliver_batch(batch)
        # After a failure, nothing of the batch was delivered. Sources behind it keep waiting.
        left = delivered or len(batch)
        for pending in waiting:
            if left <= 0:
                break
            pending.delivered = min(len(pending.deliveries), delivered)
            delivered, left = delivered - pending.delivered, left - len(pending.deliveries)
        self._waiting = [pending for pending in self._waiting if pending.delivered is None]

    async def _deliver_batch(self, batch: Sequence[Delivery]) -> int:
        if len(batch) < 2:
            return 0
        try:
            async with self.slots, bounded_attempt(self.database):
                delivered = await _deliver_together(self.database, self.group, batch)
        except Exception as error:
            # One-by-one delivery identifies the failing message, and waits if this is an outage.
            _log.info("run_failed", group=self.group.name, messages=len(batch), error=type(error).__name__)
            return 0
        # A batch that ran out of time makes the next one as small. Sizes grow slowly: running out costs a statement.
        self.size = max(2, delivered) if delivered < len(batch) else min(self.size + self.size // 4 + 1, self._max)
        return delivered


class Deliverer:
    """Delivers the messages of one source (a partition, or the log) to a group, in batches unless they fail."""

    def __init__(
        self,
        batcher: GroupBatcher,
        attempts_max: int,
        stop: asyncio.Event,
        check_ownership: OwnershipCheck = always_owned,
    ) -> None:
        self._batcher, self._attempts_max, self._stop = batcher, attempts_max, stop
        self._check_ownership = check_ownership
        #: How many of the next messages belong to a batch that failed.
        self._one_by_one = 0

    @property
    def size(self) -> int:
        """How many messages the next call can deliver; passing more has no use."""
        return 1 if self._one_by_one else self._batcher.size

    async def deliver(self, deliveries: Sequence[Delivery]) -> int:
        """Deliver the first of these; how many, at least one.

        Raises:
            Poison: the first one failed; the caller stores a dead letter and continues behind it.
            Stopped: `stop` was set; nothing was delivered.
        """
        if self._stop.is_set():
            raise Stopped
        batcher = self._batcher
        if not self._one_by_one:
            batch = deliveries[: batcher.size]
            if delivered := await batcher.deliver(batch):
                return delivered
            self._one_by_one = len(batch)
        if isinstance(batcher.group, ExternalGroup) and batcher.group.pace is not None:
            await batcher.group.pace.wait(deliveries[0], self._stop)
        self._one_by_one -= 1
        await bus.deliver_with_retries(
            batcher.database,
            batcher.group,
            deliveries[0],
            self._attempts_max,
            self._stop,
            batcher.slots,
            self._check_ownership,
        )
        return 1


async def _deliver_together(database: Database, group: Group, batch: Sequence[Delivery]) -> int:
    """Deliver as many of these as BATCH_SECONDS allows, in one transaction; how many.

    Raises:
        Exception: whatever a handler raised; the transaction was rolled back.
    """
    began = time.monotonic()
    read = [group.read(delivery) for delivery in batch]
    outcomes: list[bool] = []
    async with database.transaction() as session:
        new = await _mark_all_done(session, group, [d.message_id for d, one in zip(batch, read, strict=True) if one])
        while len(outcomes) < len(batch):
            if outcomes and time.monotonic() > began + BATCH_SECONDS:
                break
            first, fresh = len(outcomes), []
            for delivery, one in zip(batch[first:], read[first : _end_of_run(read, first)], strict=False):
                outcomes.append(one is not None and delivery.message_id in new)
                if one is not None and outcomes[-1]:
                    # A batch may contain the same message twice.
                    new.remove(delivery.message_id)
                    fresh.append((delivery, *one))
            if fresh:
                await _react(session, fresh)
        if new:
            # Messages that were left over have not been processed.
            async with statements.round_trip(session) as connection:
                await send(connection, _DELETE, group.name, [*new])
        crash_points.at("before_effect_commits")
    _record(group, batch, outcomes, time.monotonic() - began)
    return len(outcomes)


async def _mark_all_done(session: AsyncSession, group: Group, message_ids: list[UUID]) -> set[UUID]:
    """Write the inbox rows in this order; the ids of those that are new."""
    async with statements.round_trip(session) as connection:
        written = await send(connection, _INSERT_ALL, group.name, message_ids)
    return {row[0] for row in await written.fetchall()}


def _end_of_run(read: Sequence[tuple[Handler, Message] | None], first: int) -> int:
    """The end of the messages that are handled together with the first one."""
    one, end = read[first], first + 1
    if one is not None and isinstance(one[0], Together):
        while end < len(read) and (other := read[end]) is not None and other[0] is one[0]:
            end += 1
    return end


async def _react(session: AsyncSession, run: Sequence[tuple[Delivery, Handler, Message]]) -> None:
    """Handle one message, or several that share a handler of the class `Together`."""
    delivery, handler, message = run[0]
    if isinstance(handler, Together):
        await handler.handle_all(session, [Caused(message, cause_of(delivery)) for delivery, _, message in run])
    else:
        with caused_by(delivery):
            await handler(session, message)
    # The next handler finds the state of a new transaction: everything is flushed, and the identity map is empty.
    if session.new or session.dirty or session.deleted:
        await session.flush()
    session.expunge_all()


def _record(group: Group, batch: Sequence[Delivery], outcomes: Sequence[bool], seconds: float) -> None:
    metrics.BATCH_SIZE.labels(group.name).observe(len(outcomes))
    metrics.BATCH_SECONDS.labels(group.name).observe(seconds)
    for delivery, is_done in zip(batch, outcomes, strict=False):
        with caused_by(delivery):
            record_outcome(group, delivery, is_done)


_INSERT_ALL = """
insert into inbox (consumer, message_id)
select %s, message_id from unnest(%s::uuid[]) with ordinality as w (message_id, place) order by place
on conflict do nothing
returning message_id"""
_DELETE = "delete from inbox where consumer = %s and message_id = any(%s)"
