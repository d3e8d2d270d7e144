"""A failure stays where it happens: that of a message in its dead letter, and that of a consumer group in its group.

Consumers of the log and of Kafka share this. `read` makes a delivery of what they have fetched, and `bury` stores a
dead letter of it, which succeeds unless the process is stopped (see dead_letters.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from ticketing.infra import log, metrics
from ticketing.infra.bus.attempts import Attempts, Poison, bounded_attempt, cancellation_as_failure
from ticketing.infra.bus.batches import Deliverer
from ticketing.infra.bus.delivery import UNLIMITED, BatchGroup
from ticketing.infra.db import Database
from ticketing.infra.outbox import Delivery
from ticketing.infra.system.retry import BACKOFF_MAX_SECONDS, Stopped, retry

#: Attempts of a message alone after its batch has failed. The other messages of a batch group wait for it, and it is
#: idempotent: a dead letter can be replayed at any time.
ALONE_ATTEMPTS_MAX = 2

_log = log.get_logger(__name__)
M = TypeVar("M")


@dataclass(frozen=True)
class Containment(Generic[M]):
    """How the messages of one source are read, and what becomes of those that fail."""

    read: Callable[[M], Delivery]
    bury: Callable[[M, Poison], Awaitable[None]]

    async def deliver_next(self, deliverer: Deliverer, messages: Sequence[M]) -> int:
        """Deliver the first of these, or bury the first one; how many, at least one. Raises Stopped."""
        deliveries: list[Delivery] = []
        try:
            # Up to the first unreadable message, which is buried once it is first.
            for message in messages:
                deliveries.append(self.read(message))
        except Exception as error:
            if not deliveries:
                await self.bury(messages[0], Poison(error, 1))
                return 1
        try:
            return await deliverer.deliver(deliveries)
        except Poison as poison:
            await self.bury(messages[0], poison)
            return 1

    async def consume_all(
        self,
        database: Database,
        group: BatchGroup,
        messages: Sequence[M],
        stop: asyncio.Event,
        slots: AbstractAsyncContextManager[None] = UNLIMITED,
    ) -> None:
        """Give a batch group all of these at once; bury those that can't be read or consumed. Raises Stopped."""
        readable: list[tuple[M, Delivery]] = []
        for message in messages:
            try:
                readable.append((message, self.read(message)))
            except Exception as error:
                await self.bury(message, Poison(error, 1))

        async def consume(some: list[tuple[M, Delivery]]) -> None:
            try:
                await _consume(database, group, [delivery for _, delivery in some], stop, slots)
            except Poison as poison:
                if len(some) == 1:
                    await self.bury(some[0][0], poison)
                    return
                # Bisect to find the messages at fault, so that the others succeed.
                await consume(some[: len(some) // 2])
                await consume(some[len(some) // 2 :])

        if readable:
            await consume(readable)


async def _consume(
    database: Database,
    group: BatchGroup,
    deliveries: list[Delivery],
    stop: asyncio.Event,
    slots: AbstractAsyncContextManager[None],
) -> None:
    """Raises Poison after failures that are not outages, and Stopped."""
    attempts = Attempts(ALONE_ATTEMPTS_MAX if len(deliveries) == 1 else 1, group=group.name)

    async def attempt() -> None:
        async with slots, bounded_attempt(database):
            await group.consume(database, deliveries)

    await retry(attempt, attempts.on_error, stop)


async def keep_running(group: str, run: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Run a group until `stop` is set. An unexpected error is logged and counted, and the group starts again.

    The back-off grows to BACKOFF_MAX_SECONDS; meanwhile, the other groups of the process continue.
    """

    async def attempt() -> None:
        with cancellation_as_failure():  # a TaskGroup would take a cancellation for the regular end of the group
            await run()

    def on_error(error: Exception) -> None:
        metrics.GROUP_FAILURES.labels(group).inc()
        _log.error("consumer_group_failed", group=group, exc_info=error)

    with suppress(Stopped):
        await retry(attempt, on_error, stop, BACKOFF_MAX_SECONDS)
