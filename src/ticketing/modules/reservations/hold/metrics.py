"""Metrics of the hold path: attempts, their duration, and the batches they share."""

from functools import lru_cache

from ticketing.infra.metrics import LATENCY_BUCKETS, Counter, Gauge, Histogram

HOLDS = Counter("ticketing_holds_total", "Attempts to hold, by outcome", ["outcome"])
HOLD_SECONDS = Histogram("ticketing_hold_seconds", "Time to decide a hold", buckets=LATENCY_BUCKETS)
HOLD_BATCH_SECONDS = Histogram(
    "ticketing_hold_batch_seconds", "Time to decide and commit a batch of holds", buckets=LATENCY_BUCKETS
)
HOLD_BATCH_SIZE = Histogram(
    "ticketing_hold_batch_size", "Holds decided in one batch", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
HOLDS_WAITING = Gauge("ticketing_holds_waiting", "Holds that wait for a batch", multiprocess_mode="livesum")

# Looking a metric up by its label costs more than incrementing it.
_holds = lru_cache(maxsize=64)(HOLDS.labels)


def count_hold(outcome: str) -> None:
    """Count one attempt to hold. `outcome` is `held`, `replayed` or an error code."""
    _holds(outcome).inc()
