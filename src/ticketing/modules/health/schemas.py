"""Answers about the state of this process and of what it needs."""

from typing import Any

from ticketing.infra.http.fields import Out
from ticketing.modules.health.checks import Status


class LiveOut(Out):
    status: str = "alive"


class CheckOut(Out):
    """One dependency. `is_critical`: without it this process is not ready."""

    status: Status
    is_critical: bool
    latency_ms: float
    details: dict[str, Any]


class ReadyOut(Out):
    """`ready`, `degraded` (we work, but not all is well) or `not_ready`."""

    status: str
    checks: dict[str, CheckOut]


class AlertOut(Out):
    """One rule; it fires when its value is above the threshold, or can't be read (then `value` is null)."""

    name: str
    firing: bool
    value: float | None
    threshold: float
    unit: str
    subject: str | None


class AlertsOut(Out):
    alerts: list[AlertOut]
