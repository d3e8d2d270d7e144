"""Responses about the state of this process and its dependencies."""

from typing import Any

from ticketing.infra.http.fields import Out
from ticketing.modules.health.checks import Status


class LiveOut(Out):
    status: str = "alive"


class CheckOut(Out):
    """One dependency. `is_critical`: the process is not ready without it."""

    status: Status
    is_critical: bool
    latency_ms: float
    details: dict[str, Any]


class ReadyOut(Out):
    """`ready`, `degraded` (serving requests with a dependency impaired) or `not_ready`."""

    status: str
    checks: dict[str, CheckOut]


class AlertOut(Out):
    """One rule. It fires when its value is above the threshold, or cannot be read (`value` is null)."""

    name: str
    firing: bool
    value: float | None
    threshold: float
    unit: str
    subject: str | None


class AlertsOut(Out):
    alerts: list[AlertOut]
