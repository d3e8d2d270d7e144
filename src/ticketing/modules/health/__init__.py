"""Liveness, readiness, alerts and metrics of this process."""

from ticketing.modules.health.alerts import Alert
from ticketing.modules.health.api import router
from ticketing.modules.health.checks import Dependencies
from ticketing.modules.health.monitor import HealthMonitor

__all__ = ["Alert", "Dependencies", "HealthMonitor", "router"]
