"""Connections to Redis or Valkey, and subscriptions that notice a lost server."""

from redis.exceptions import ConnectionError as Lost

from ticketing.infra.redis.client import (
    SILENCE_SECONDS,
    connect,
    connect_for_limits,
    messages,
)

__all__ = [
    "SILENCE_SECONDS",
    "Lost",
    "connect",
    "connect_for_limits",
    "messages",
]
