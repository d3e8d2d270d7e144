"""The metrics of the infrastructure, and the types with which modules define their own.

Modules import `Counter`, `Gauge` and `Histogram` from here, so that a metric is never made before the process id below
is set. Processes that share PROMETHEUS_MULTIPROC_DIR are added up by `render`.
"""

import os
from datetime import UTC, datetime
from functools import lru_cache

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["LATENCY_BUCKETS", "REGISTRY", "Counter", "Gauge", "Histogram"]

# The client library calls getpid() on every increment, which took a twentieth of a request's time. No process forks
# after this module is imported.
_process_id = os.getpid()
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _process_id)  # type: ignore[no-untyped-call]

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("ticketing_http_requests_total", "HTTP requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram(
    "ticketing_http_request_seconds", "Time from request to response", ["method", "route"], buckets=LATENCY_BUCKETS
)
RATE_LIMITED = Counter("ticketing_rate_limited_total", "Requests refused by a rate limit", ["lane", "limit"])
RATE_LIMITS_WITHOUT_REDIS = Counter(
    "ticketing_limits_without_redis_total", "Requests whose rate limits could not be counted in Redis"
)
SLOW_READERS = Counter(
    "ticketing_slow_readers_total", "Connections closed because the client did not read its response"
)
EMAILS = Counter("ticketing_letters_total", "Attempts to send an email, by outcome", ["kind", "outcome"])
DB_POOL = Gauge(
    "ticketing_db_pool_connections", "Database connections of the pool", ["state"], multiprocess_mode="livesum"
)

OUTBOX_READ = Counter("ticketing_outbox_read_total", "Rows that a reader has read from the outbox log", ["reader"])
OUTBOX_LAG_SECONDS = Gauge(
    "ticketing_outbox_lag_seconds",
    "Age of a reader's last row at the time it was read",
    ["reader"],
    multiprocess_mode="livemax",
)
OUTBOX_UNREAD = Gauge(
    "ticketing_outbox_unread_rows", "Rows that a reader has not read", ["reader"], multiprocess_mode="livemax"
)
OUTBOX_OLDEST = Gauge(
    "ticketing_outbox_oldest_unread_seconds",
    "Age of a reader's oldest unread row",
    ["reader"],
    multiprocess_mode="livemax",
)
OUTBOX_BYTES = Gauge(
    "ticketing_outbox_bytes", "Size of the outbox log on disk, with its indexes", multiprocess_mode="livemax"
)
KAFKA_LAG = Gauge(
    "ticketing_kafka_lag",
    "Messages that a consumer group has not processed",
    ["group", "topic"],
    multiprocess_mode="livemax",
)
RELAY_PUBLISH_SECONDS = Histogram(
    "ticketing_relay_publish_seconds",
    "Time until Kafka has acknowledged a page of the outbox log",
    buckets=LATENCY_BUCKETS,
)
RELAY_WAITS = Counter("ticketing_relay_waits_total", "Times the relay waited for an unavailable server", ["reason"])

CONSUMED = Counter(
    "ticketing_messages_consumed_total", "Messages processed or skipped, by outcome", ["group", "topic", "outcome"]
)
BATCH_SIZE = Histogram(
    "ticketing_consumer_run_size", "Messages in one consumer transaction", ["group"], buckets=(1, 2, 4, 8, 16, 32, 64)
)
BATCH_SECONDS = Histogram(
    "ticketing_consumer_run_seconds", "Duration of one consumer transaction", ["group"], buckets=LATENCY_BUCKETS
)
GROUP_FAILURES = Counter(
    "ticketing_consumer_group_failures_total", "Times a consumer group failed and started again", ["group"]
)
RETRIES = Counter("ticketing_message_retries_total", "Failed attempts that were retried", ["group", "topic"])
DEAD_LETTERS = Counter("ticketing_dead_letters_total", "Messages that became dead letters", ["group", "topic"])
DEAD_LETTERS_OPEN = Gauge(
    "ticketing_dead_letters_open",
    "Dead letters that wait for an operator",
    ["consumer", "topic"],
    multiprocess_mode="livemax",
)


# Looking a metric up by its labels costs more than incrementing it.
_requests = lru_cache(maxsize=4096)(REQUESTS.labels)
_request_seconds = lru_cache(maxsize=1024)(REQUEST_SECONDS.labels)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """Record one response; `route` is a template, never a path."""
    _requests(method, route, str(status)).inc()
    _request_seconds(method, route).observe(seconds)


def record_read(reader: str, rows: int, last_at: datetime | None) -> None:
    """Record that a reader of the outbox log has read `rows` rows, the last of which was written at `last_at`."""
    OUTBOX_READ.labels(reader).inc(rows)
    if last_at is not None:
        OUTBOX_LAG_SECONDS.labels(reader).set((datetime.now(UTC) - last_at).total_seconds())


def render() -> bytes:
    """The Prometheus text of this process, or of all processes that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def serve(port: int) -> None:
    """Serve `/metrics` on a port of its own, for a worker that runs without the API."""
    start_http_server(port)
