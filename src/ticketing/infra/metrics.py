"""Every metric of the platform, by name. In several processes they add up through PROMETHEUS_MULTIPROC_DIR."""

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

# The library asks the system for the process' id at every count, which cost a request a twentieth of its time. No
# process of ours forks once this is imported.
_process_id = os.getpid()
if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(lambda: _process_id)  # type: ignore[no-untyped-call]

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Counter("ticketing_http_requests_total", "HTTP requests", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("ticketing_http_request_seconds", "Time to answer", ["method", "route"], buckets=_FAST)
HOLDS = Counter("ticketing_holds_total", "Attempts to hold, by what became of them", ["outcome"])
HOLD_SECONDS = Histogram("ticketing_hold_seconds", "Time to decide a hold", buckets=_FAST)
HOLD_BATCH_SECONDS = Histogram("ticketing_hold_batch_seconds", "Time to decide and commit a batch", buckets=_FAST)
HOLD_BATCH_SIZE = Histogram(
    "ticketing_hold_batch_size", "Holds decided together", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
HOLDS_WAITING = Gauge("ticketing_holds_waiting", "Holds that wait for a batch", multiprocess_mode="livesum")
EXPIRED = Counter("ticketing_reservations_expired_total", "Reservations that ran out")
PAYMENTS = Counter("ticketing_payments_total", "Payments, by what became of them", ["provider", "outcome"])
TICKETS = Counter("ticketing_tickets_issued_total", "Tickets issued")
LETTERS = Counter("ticketing_letters_total", "Tries to send a letter, by what became of them", ["kind", "outcome"])
RATE_LIMITED = Counter("ticketing_rate_limited_total", "Requests refused by a limit", ["lane", "limit"])
UNCOUNTED = Counter("ticketing_limits_without_redis_total", "Requests whose limits Redis could not be asked about")
CHECK_INS = Counter("ticketing_check_ins_total", "Scans at the door, by result", ["result"])
OUTBOX_READ = Counter("ticketing_outbox_read_total", "Rows that a reader has taken from the log", ["reader"])
OUTBOX_LAG_SECONDS = Gauge(
    "ticketing_outbox_lag_seconds", "Age of the last row read when it was read", ["reader"], multiprocess_mode="livemax"
)
OUTBOX_UNREAD = Gauge(
    "ticketing_outbox_unread_rows", "Rows that a reader has not read", ["reader"], multiprocess_mode="livemax"
)
OUTBOX_OLDEST = Gauge(
    "ticketing_outbox_oldest_unread_seconds", "Age of its oldest unread row", ["reader"], multiprocess_mode="livemax"
)
OUTBOX_BYTES = Gauge("ticketing_outbox_bytes", "The log on the disk, with indexes", multiprocess_mode="livemax")
KAFKA_LAG = Gauge(
    "ticketing_kafka_lag", "Messages that a group has not done", ["group", "topic"], multiprocess_mode="livemax"
)
RELAY_PUBLISH_SECONDS = Histogram(
    "ticketing_relay_publish_seconds", "Time to publish a page of the log and have it acknowledged", buckets=_FAST
)
RELAY_WAITS = Counter("ticketing_relay_waits_total", "Times that the relay waited for what was away", ["reason"])
CONSUMED = Counter("ticketing_messages_consumed_total", "Messages, by outcome", ["group", "topic", "outcome"])
RUN_SIZE = Histogram(
    "ticketing_consumer_run_size", "Messages in one transaction", ["group"], buckets=(1, 2, 4, 8, 16, 32, 64)
)
RUN_SECONDS = Histogram(
    "ticketing_consumer_run_seconds", "Time of one transaction of a consumer", ["group"], buckets=_FAST
)
RETRIES = Counter("ticketing_message_retries_total", "Tries that failed and were repeated", ["group", "topic"])
DEAD_LETTERS = Counter("ticketing_dead_letters_total", "Messages given up", ["group", "topic"])
DEAD_LETTERS_OPEN = Gauge(
    "ticketing_dead_letters_open", "Messages given up that wait", ["consumer", "topic"], multiprocess_mode="livemax"
)
WEBHOOKS = Counter("ticketing_webhook_tries_total", "Tries to bring a message to an endpoint", ["outcome"])
WEBHOOKS_WAITING = Gauge(
    "ticketing_webhook_deliveries_waiting", "Deliveries that have not ended", multiprocess_mode="livemax"
)
WEBHOOKS_OLDEST_DUE_SECONDS = Gauge(
    "ticketing_webhook_oldest_due_seconds", "How late the oldest delivery is", multiprocess_mode="livemax"
)
STREAMS = Gauge("ticketing_sse_streams", "Open event streams", multiprocess_mode="livesum")
FRAMES = Counter("ticketing_sse_frames_total", "Frames sent to viewers", ["kind"])
SLOW_VIEWERS = Counter("ticketing_sse_slow_viewers_total", "Viewers disconnected because they did not drain")
COPIES = Counter("ticketing_copy_answers_total", "Answers about maps, by where they came from", ["map", "where"])
UNCHANGED = Counter("ticketing_unchanged_answers_total", "Answers of 304 to those who have the map", ["map"])
POOL = Gauge("ticketing_db_pool_connections", "Database connections", ["state"], multiprocess_mode="livesum")


# To find a metric by its labels costs more than to count.
_requests = lru_cache(maxsize=4096)(REQUESTS.labels)
_request_seconds = lru_cache(maxsize=1024)(REQUEST_SECONDS.labels)
_holds = lru_cache(maxsize=64)(HOLDS.labels)


def count_request(method: str, route: str, status: int, seconds: float) -> None:
    """One request that was answered; `route` is a template, never a path."""
    _requests(method, route, str(status)).inc()
    _request_seconds(method, route).observe(seconds)


def count_hold(outcome: str) -> None:
    """One attempt to hold, and what became of it."""
    _holds(outcome).inc()


def render() -> bytes:
    """The Prometheus text of this process, or of all that share PROMETHEUS_MULTIPROC_DIR."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def serve(port: int) -> None:
    """A `/metrics` of its own, for a worker that runs away from the API."""
    start_http_server(port)


def tell_read(reader: str, rows: int, last_at: datetime) -> None:
    """A reader of the log has taken so many rows, the last of which was written then."""
    OUTBOX_READ.labels(reader).inc(rows)
    OUTBOX_LAG_SECONDS.labels(reader).set((datetime.now(UTC) - last_at).total_seconds())
