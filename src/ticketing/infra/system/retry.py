"""Retries with back-off: which errors are outages, one call that is retried, and loops that outlast outages."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ticketing.infra.system.sleep import pause

BACKOFF_FIRST_SECONDS = 0.1
BACKOFF_MAX_SECONDS = 15.0
#: Cap back-off for Postgres, Redis and Kafka at 1 s, so that consumers resume promptly after an outage.
OWN_SERVERS_MAX_SECONDS = 1.0

T = TypeVar("T")
#: Called with each error before the next attempt. Raises what ends the attempts, as a rule the error itself.
OnError = Callable[[Exception], None]


class Retry(Exception):
    """Something that the caller depends on is unavailable; the attempt may succeed later."""


class Stopped(Exception):
    """The process was asked to stop before an attempt succeeded."""


class DatabaseStuck(Retry):
    """Postgres responds, and does not commit."""


#: Postgres or Redis is unavailable.
OWN_SERVERS = (DatabaseStuck, OperationalError, InterfaceError, PoolTimeout, RedisError)
#: Errors that say nothing about the work itself: it is retried for as long as the outage lasts.
OUTAGES = (Retry, *OWN_SERVERS, OSError)


def backoff_seconds(retries: int, max_seconds: float = BACKOFF_MAX_SECONDS) -> float:
    """The delay before the next attempt: doubling, capped, and jittered so that processes don't retry in step."""
    longest = min(max_seconds, BACKOFF_FIRST_SECONDS * 2.0 ** min(retries, 20))
    return longest * random.uniform(0.5, 1)


def max_backoff_seconds(error: Exception) -> float:
    return OWN_SERVERS_MAX_SECONDS if isinstance(error, OWN_SERVERS) else BACKOFF_MAX_SECONDS


async def retry(
    attempt: Callable[[], Awaitable[T]],
    on_error: OnError,
    stop: asyncio.Event,
    max_seconds: float | None = None,
) -> T:
    """Call `attempt` until it succeeds; what it returned.

    Back-off is capped at `max_seconds`; None: by the kind of error. It starts anew when an attempt has lasted longer
    than BACKOFF_MAX_SECONDS: a loop that ran for hours did not fail "again".

    Raises:
        Stopped: `stop` was set during the back-off.
        Exception: whatever `on_error` raised.
    """
    retries = 0
    while True:
        began_at = time.monotonic()
        try:
            return await attempt()
        except Stopped:
            raise
        except Exception as error:
            on_error(error)
            retries = 0 if time.monotonic() - began_at > BACKOFF_MAX_SECONDS else retries
            seconds = backoff_seconds(retries, max_seconds or max_backoff_seconds(error))
        await pause(seconds, stop)
        if stop.is_set():
            raise Stopped
        retries += 1


async def run_until_stopped(
    step: Callable[[], Awaitable[object]], on_error: OnError, stop: asyncio.Event | None = None
) -> None:
    """Call `step` again and again until `stop` is set; None: until the task is cancelled.

    A step that fails is retried with back-off, for as long as the outage lasts. It may raise Stopped to end the loop.

    Raises:
        Exception: whatever `on_error` raised.
    """
    stop = stop or asyncio.Event()
    with suppress(Stopped):
        while not stop.is_set():
            await retry(step, on_error, stop, OWN_SERVERS_MAX_SECONDS)


async def run_periodically(
    seconds: float, step: Callable[[], Awaitable[object]], on_error: OnError, stop: asyncio.Event | None = None
) -> None:
    """Call `step`, wait `seconds` whether or not it failed, and so on until `stop` is set; None: until cancelled.

    Raises:
        Exception: whatever `on_error` raised.
    """
    stop = stop or asyncio.Event()
    while not stop.is_set():
        try:
            await step()
        except Exception as error:
            on_error(error)
        await pause(seconds, stop)


def log_outage(logger: Any, event: str, *more: type[Exception], level: str = "warning", **fields: Any) -> OnError:
    """An error handler that logs outages and the errors of types `more`, and raises any other error."""

    def on_error(error: Exception) -> None:
        if not isinstance(error, (*OUTAGES, *more)):
            raise error
        getattr(logger, level)(event, **fields, error=type(error).__name__)

    return on_error


def log_every_error(logger: Any, event: str, *more: type[Exception]) -> OnError:
    """Like `log_outage`, and any other error is logged with its traceback: the loop goes on."""

    def on_error(error: Exception) -> None:
        if isinstance(error, (*OUTAGES, *more)):
            logger.warning(event, error=type(error).__name__)
        else:
            logger.error(event, exc_info=error)

    return on_error
