"""Connections to Redis, which caches and notifies only: its data may be lost at any time without harm."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost

from ticketing.infra.config import Settings
from ticketing.infra.system.outside_calls import assert_no_transaction

T = TypeVar("T")

#: A subscription that was silent for this long is pinged, and is considered lost after as long again.
SILENCE_SECONDS = 0.75


class RetryOnClose(Retry):
    """The library's retry, which also recognizes the error that uvloop raises for a closed connection."""

    async def call_with_retry(self, do: Callable[[], Awaitable[T]], *arguments: Any, **options: Any) -> T:
        # Every command, script, pipeline and subscription of every client goes through here.
        assert_no_transaction("the Redis client")

        async def attempt() -> T:
            try:
                return await do()
            except RuntimeError as error:  # "the handler is closed": a write after a reset
                raise Lost(str(error)) from error

        return await super().call_with_retry(attempt, *arguments, **options)


def connect(settings: Settings) -> Redis:
    """A client whose calls fail within two seconds: Redis must not hold up a request that works without it."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        health_check_interval=15,
        retry=RetryOnClose(NoBackoff(), 1),
        max_connections=50,
    )


def connect_for_limits(settings: Settings) -> Redis:
    """A client whose calls fail within 0.25 s and are not retried, because every request waits for one of them."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        retry=RetryOnClose(NoBackoff(), 0),
        max_connections=2,
    )


async def messages(subscription: PubSub) -> AsyncIterator[dict[str, Any]]:
    """Iterate over the messages of a subscription without end.

    This side sends nothing, so TCP would never detect a lost connection: pings do.

    Raises:
        RedisError, OSError: the connection is lost, or a ping was not answered in time.
    """
    received_at, is_pinged = time.monotonic(), False
    while True:
        message = await subscription.get_message(timeout=SILENCE_SECONDS)
        if message is not None:
            received_at, is_pinged = time.monotonic(), False
            if message["type"] != "pong":
                yield message
        elif is_pinged:
            raise Lost(f"nothing was received for {time.monotonic() - received_at:.1f} s")
        elif time.monotonic() - received_at >= SILENCE_SECONDS:
            await subscription.ping()
            is_pinged = True
