"""Metrics of batches, by kind of request. Holds have metrics of their own."""

from ticketing.infra.metrics import LATENCY_BUCKETS, Gauge, Histogram

WAITING = Gauge(
    "ticketing_batch_waiting", "Requests that wait for a batch, by kind", ["kind"], multiprocess_mode="livesum"
)
BATCH_SECONDS = Histogram(
    "ticketing_batch_seconds", "Time to decide and commit a batch of requests", ["kind"], buckets=LATENCY_BUCKETS
)
BATCH_SIZE = Histogram(
    "ticketing_batch_size", "Requests decided in one batch", ["kind"], buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)


def observe_batch(kind: str, size: int, seconds: float) -> None:
    """Record a batch that was committed."""
    BATCH_SECONDS.labels(kind).observe(seconds)
    BATCH_SIZE.labels(kind).observe(size)
