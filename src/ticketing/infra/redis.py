"""Redis is a cache, a nudge and a fan-out; it may be empty or gone at any time and nothing is lost."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from ticketing.infra.config import Settings


def connect(settings: Settings) -> Redis:
    """A client whose calls fail within two seconds: a request must not hang on a hint."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=2,
        socket_connect_timeout=1,
        health_check_interval=15,
        retry=Retry(NoBackoff(), 1),
        max_connections=50,
    )


def connect_for_limits(settings: Settings) -> Redis:
    """A client whose calls fail within a quarter of a second: every request waits for one, and one is enough."""
    return Redis.from_url(
        settings.redis_url,
        socket_timeout=0.25,
        socket_connect_timeout=0.25,
        retry=Retry(NoBackoff(), 0),
        max_connections=2,
    )
