"""Check results are cached briefly and computed once at a time: these endpoints are open, so a probe must be cheap."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast

from ticketing.infra import metrics
from ticketing.modules.health.alerts import Alert, AlertReading, log_alerts, read_alerts
from ticketing.modules.health.checks import CHECKS, CheckResult, Dependencies, run_check

CACHE_SECONDS = 1.0
T = TypeVar("T")


class HealthMonitor:
    """The checks and alerts of one process."""

    def __init__(self, dependencies: Dependencies, alerts: Iterable[Alert] = ()) -> None:
        self._dependencies = dependencies
        self._alerts = (*log_alerts(dependencies.settings), *alerts)
        self._results: dict[str, tuple[float, Any]] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def check(self, name: str) -> CheckResult:
        """Run one of CHECKS."""
        return await self._once(name, lambda: run_check(name, self._dependencies))

    async def check_all(self) -> dict[str, CheckResult]:
        """Run all of CHECKS concurrently."""
        return dict(zip(CHECKS, await asyncio.gather(*(self.check(name) for name in CHECKS)), strict=True))

    async def alerts(self) -> list[AlertReading]:
        return await self._once("alerts", lambda: read_alerts(self._alerts, self._dependencies))

    async def metrics(self) -> bytes:
        """The Prometheus text. Adding up the files of all processes takes milliseconds, so it runs in a thread."""
        return await self._once("metrics", lambda: asyncio.to_thread(metrics.render))

    async def _once(self, name: str, run: Callable[[], Awaitable[T]]) -> T:
        now = asyncio.get_running_loop().time
        finished_at, result = self._results.get(name, (-CACHE_SECONDS, None))
        if now() - finished_at < CACHE_SECONDS:
            return cast(T, result)
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.ensure_future(run())
        # Shielded: a client that disconnects must not cancel the check for the others.
        fresh: T = await asyncio.shield(task)
        self._results[name] = (now(), fresh)
        return fresh
