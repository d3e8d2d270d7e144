"""Attempts to process messages: each has a time limit, outages do not count, and too many failures make poison."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.exc import DataError

from ticketing.infra import log
from ticketing.infra.bus.failures import Failure, classify
from ticketing.infra.db import Database
from ticketing.infra.system.retry import DatabaseStuck

#: Limit of one attempt. The database ends a transaction far earlier; this is for a handler that waits for other things.
ATTEMPT_SECONDS = 120.0
#: How soon the database commits a transaction unless it is stuck.
PROBE_SECONDS = 2.0

_log = log.get_logger(__name__)


class UnknownVersion(ValueError):
    """A newer release wrote this message, in a version that this one cannot interpret."""


class WrongOrganization(ValueError):
    """The payload of a message names another organization than its headers: one of the two is forged."""


class HandlerCancelled(Exception):
    """A handler was cancelled by something that it called, and not by the process that runs it."""


#: Errors that every retry would repeat: the message is poison at once. DataError: the value does not fit its column.
NOT_RETRIED = (ValidationError, UnknownVersion, WrongOrganization, DataError)


class Poison(Exception):
    """A message whose handler failed at every attempt, for a reason other than an outage."""

    def __init__(self, error: BaseException, attempts: int) -> None:
        self.error, self.attempts = error, attempts
        super().__init__(f"{type(error).__name__} after {attempts} attempts")


@asynccontextmanager
async def bounded_attempt(database: Database) -> AsyncIterator[None]:
    """One attempt to process messages, which ends after ATTEMPT_SECONDS.

    Raises:
        DatabaseStuck: it failed for an unclear reason, and the database is stuck: this is an outage.
        TimeoutError, HandlerCancelled: it took too long, or was cancelled from inside.
    """
    with cancellation_as_failure():
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                yield
        except Exception as error:
            if classify(error) is Failure.UNCLEAR and not await commits(database):
                raise DatabaseStuck("it does not commit in time") from error
            raise


@contextmanager
def cancellation_as_failure() -> Iterator[None]:
    """Raise HandlerCancelled for a cancellation that comes from what the block called.

    One of the current task itself, from outside, goes on as CancelledError.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling() > 0:
            raise
        raise HandlerCancelled from None


async def commits(database: Database) -> bool:
    """Whether another transaction that writes commits within PROBE_SECONDS."""
    try:
        async with asyncio.timeout(PROBE_SECONDS), database.transaction() as session:
            # A transaction with an id writes its commit to the disk.
            await session.execute(text("select pg_current_xact_id()"))
    except Exception as error:
        _log.warning("database_stuck", error=type(error).__name__)
        return False
    return True


class Attempts:
    """The error handler of a delivery: it logs each failure, and counts those that are not due to an outage."""

    def __init__(self, attempts_max: int, **fields: str) -> None:
        """`fields` go into every log line."""
        self._max, self._fields, self._failed = attempts_max, fields, 0

    def on_error(self, error: Exception) -> None:
        """Raises Poison after `attempts_max` failures, or at once after one that every retry would repeat."""
        if classify(error) is Failure.OUTAGE:
            _log.warning("consumer_waits", **self._fields, error=type(error).__name__)
            return
        self._failed += 1
        _log.warning("consumer_failed", **self._fields, attempt=self._failed, exc_info=error)
        if self._failed >= self._max or isinstance(error, NOT_RETRIED):
            raise Poison(error, self._failed) from error
