"""Redis is a cache, a nudge and a fan-out; it may be empty or gone at any time and nothing is lost."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Lost

from ticketing.infra.config import Settings

T = TypeVar("T")

#: A subscription that has been silent for so long is asked whether it lives, and has as long again to answer.
SILENCE_SECONDS = 0.75


class Patience(Retry):
    """The library's retry, which knows a closed connection also when uvloop says so in words of its own."""

    async def call_with_retry(self, do: Callable[[], Awaitable[T]], *arguments: Any, **options: Any) -> T:
        async def attempt() -> T:
            try:
                return await do()
            except RuntimeError as error:  # "the handler is closed": written to after a reset
                raise Lost(str(error)) from error

        return await super().call_with_retry(attempt, *arguments, **options)


def connect(settings: Settings) -> Redis:
    """A client whose calls fail within two seconds: a request must not hang on a hint."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        health_check_interval=15,
        retry=Patience(NoBackoff(), 1),
        max_connections=50,
    )


def connect_for_limits(settings: Settings) -> Redis:
    """A client whose calls fail within a quarter of a second: every request waits for one, and one is enough."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        retry=Patience(NoBackoff(), 0),
        max_connections=2,
    )


async def messages(subscription: PubSub) -> AsyncIterator[dict[str, Any]]:
    """What a subscription brings, for ever.

    Nobody writes to it, so TCP would never notice that the other end is gone: it is asked.

    Raises:
        RedisError, OSError: it is dead, or has not answered in time.
    """
    heard_at, is_asked = time.monotonic(), False
    while True:
        message = await subscription.get_message(timeout=SILENCE_SECONDS)
        if message is not None:
            heard_at, is_asked = time.monotonic(), False
            if message["type"] != "pong":
                yield message
        elif is_asked:
            raise Lost(f"nothing was heard for {time.monotonic() - heard_at:.1f} s")
        elif time.monotonic() - heard_at >= SILENCE_SECONDS:
            await subscription.ping()
            is_asked = True
