"""Metrics of webhook deliveries."""

from ticketing.infra.metrics import Counter, Gauge

ATTEMPTS = Counter("ticketing_webhook_tries_total", "Attempts to deliver a message to an endpoint", ["outcome"])
WAITING = Gauge("ticketing_webhook_deliveries_waiting", "Deliveries that are not finished", multiprocess_mode="livemax")
OLDEST_DUE_SECONDS = Gauge(
    "ticketing_webhook_oldest_due_seconds", "How overdue the oldest delivery is", multiprocess_mode="livemax"
)


def record_backlog(waiting: int, oldest_due_seconds: float) -> None:
    """Record the number of unfinished deliveries, and how overdue the oldest of them is."""
    WAITING.set(waiting)
    OLDEST_DUE_SECONDS.set(oldest_due_seconds)
