"""Messages of one group that share a transaction, because a commit costs more than most effects.

Each of them has its inbox row and its effect in that transaction, in their order, or none has. When anything goes wrong
all of it is undone, and the very same messages go one by one: there the one at fault is found and its neighbours go
through. The inbox rows come first: whoever else works on the same messages (a partition that changes hands, a process
that was stopped and wakes up) waits at the first of them for our commit, so effects keep their order between us too.
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
from ticketing.infra.bus.delivery import ANY_TIME, Group, Handler, OutwardGroup, caused_by, tell_outcome
from ticketing.infra.db import Database, statements
from ticketing.infra.db.pipeline import send
from ticketing.infra.outbox import Delivery, Message
from ticketing.infra.system.retry import Stopped

#: A run that has lasted so long takes no further message. A long transaction holds its row locks against buyers, and
#: every reader of the log waits for the oldest transaction that writes: thirty-two slow effects would delay them all.
RUN_SECONDS = 0.02

_log = log.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Wish:
    """What a line would like to have dealt with, and how many of it were; 0 when they had better go one by one."""

    run: Sequence[Delivery]
    taken: int | None = None


class Shared:
    """The transactions of one group, one at a time: lines that come while one is open go together in the next.

    Six partitions that have a message each would otherwise pay for six commits.
    """

    def __init__(self, database: Database, group: Group, places: AbstractAsyncContextManager[None] = ANY_TIME) -> None:
        """`places` bounds how many transactions are open at a time, for those who share it."""
        self.database, self.group, self.places = database, group, places
        self._max = 1 if isinstance(group, OutwardGroup) else group.together_max
        #: So many messages at once: as many as the time was enough for when it last ran out, and more from then on.
        self.size = self._max
        self._waiting: list[_Wish] = []
        self._turn = asyncio.Lock()

    async def deliver(self, run: Sequence[Delivery]) -> int:
        """How many of these were dealt with, from the first on; 0 when they had better go one by one."""
        if self._max == 1:
            return 0
        self._waiting.append(mine := _Wish(run))
        try:
            # First come, first served: whoever has waited so long was taken along, or is the first who was not.
            async with self._turn:
                if mine.taken is None:
                    await asyncio.sleep(0)  # for those that begin at the same moment
                    await self._deliver_waiting()
        finally:
            if mine.taken is None:
                self._waiting.remove(mine)
        assert mine.taken is not None  # it was the first
        return mine.taken

    async def _deliver_waiting(self) -> None:
        wishes = self._waiting.copy()
        run = [delivery for wish in wishes for delivery in wish.run][: self.size]
        taken = await self._take_together(run)
        # After a failure nothing was taken of those that were in it, and those behind have not had their turn.
        left = taken or len(run)
        for wish in wishes:
            if left <= 0:
                break
            wish.taken = min(len(wish.run), taken)
            taken, left = taken - wish.taken, left - len(wish.run)
        self._waiting = [wish for wish in self._waiting if wish.taken is None]

    async def _take_together(self, run: Sequence[Delivery]) -> int:
        if len(run) < 2:
            return 0
        try:
            async with self.places:
                taken = await _deliver_together(self.database, self.group, run)
        except Exception as error:
            # Whose fault it is shows when they go alone, an outage included: it is waited for there.
            _log.info("run_failed", group=self.group.name, messages=len(run), error=type(error).__name__)
            return 0
        # After one that was cut short the next is as short, and then they grow slowly: to be cut costs a statement.
        self.size = max(2, taken) if taken < len(run) else min(self.size + self.size // 4 + 1, self._max)
        return taken


class Runs:
    """Takes the messages of one line (a partition, or the log) to a group's handlers, as many at once as go well."""

    def __init__(self, shared: Shared, attempts_max: int, stop: asyncio.Event) -> None:
        self._shared, self._attempts_max, self._stop = shared, attempts_max, stop
        #: So many of the next messages were in a run that failed.
        self._alone = 0

    @property
    def size(self) -> int:
        """So many messages it would take at once now; to bring more is of no use."""
        return 1 if self._alone else self._shared.size

    async def take(self, deliveries: Sequence[Delivery]) -> int:
        """Deal with the first of these for good; how many they were, which is one at least.

        Raises:
            Poison: the first one is at fault; whoever asks buries it and goes on behind it.
            Stopped: we were asked to stop while it waited; it was not taken.
        """
        if self._stop.is_set():
            raise Stopped
        shared = self._shared
        if not self._alone:
            run = deliveries[: shared.size]
            if taken := await shared.deliver(run):
                return taken
            self._alone = len(run)
        self._alone -= 1
        await bus.deliver_patiently(
            shared.database, shared.group, deliveries[0], self._attempts_max, self._stop, shared.places
        )
        return 1


async def _deliver_together(database: Database, group: Group, run: Sequence[Delivery]) -> int:
    """As many of these as the time allows, in one transaction; how many they were.

    Raises:
        Exception: whatever a handler raised; nothing was changed then.
    """
    began = time.monotonic()
    read = [group.read(delivery) for delivery in run]
    outcomes: list[bool] = []
    async with database.transaction() as session:
        new = await _mark_all_done(session, group, [d.message_id for d, one in zip(run, read, strict=True) if one])
        for delivery, one in zip(run, read, strict=True):
            if outcomes and time.monotonic() > began + RUN_SECONDS:
                break
            outcomes.append(one is not None and delivery.message_id in new)
            if one is not None and outcomes[-1]:
                # The same message may come twice in one run.
                new.remove(delivery.message_id)
                await _react(session, delivery, *one)
        if new:
            # What the time was not enough for has not been done.
            async with statements.round_trip(session) as connection:
                await send(connection, _FORGET, group.name, [*new])
        crash_points.at("before_effect_commits")
    _tell(group, run, outcomes, time.monotonic() - began)
    return len(outcomes)


async def _mark_all_done(session: AsyncSession, group: Group, message_ids: list[UUID]) -> set[UUID]:
    """Write the inbox rows, in this order, and say which were not there."""
    async with statements.round_trip(session) as connection:
        written = await send(connection, _NOTE_ALL, group.name, message_ids)
    return {row[0] for row in await written.fetchall()}


async def _react(session: AsyncSession, delivery: Delivery, handler: Handler, message: Message) -> None:
    with caused_by(delivery):
        await handler(session, message)
    # The next handler finds what it would find in a transaction of its own: everything written, nothing remembered.
    if session.new or session.dirty or session.deleted:
        await session.flush()
    session.expunge_all()


def _tell(group: Group, run: Sequence[Delivery], outcomes: Sequence[bool], seconds: float) -> None:
    metrics.BATCH_SIZE.labels(group.name).observe(len(outcomes))
    metrics.BATCH_SECONDS.labels(group.name).observe(seconds)
    for delivery, is_done in zip(run, outcomes, strict=False):
        with caused_by(delivery):
            tell_outcome(group, delivery, is_done)


_NOTE_ALL = """
insert into inbox (consumer, message_id)
select %s, message_id from unnest(%s::uuid[]) with ordinality as w (message_id, place) order by place
on conflict do nothing
returning message_id"""
_FORGET = "delete from inbox where consumer = %s and message_id = any(%s)"
