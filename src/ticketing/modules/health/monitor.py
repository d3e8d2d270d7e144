"""Answers are remembered for a moment and asked for once: these addresses are open, and a probe must cost little."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast

from ticketing.modules.health.alerts import Alert, Reading, log_alerts, read_alerts
from ticketing.modules.health.checks import CHECKS, Dependencies, Finding, run_check

REMEMBER_SECONDS = 1.0
T = TypeVar("T")


class Checkup:
    """The checks and alerts of one process."""

    def __init__(self, on: Dependencies, alerts: Iterable[Alert] = ()) -> None:
        self._on = on
        self._alerts = (*log_alerts(on.settings), *alerts)
        self._known: dict[str, tuple[float, Any]] = {}
        self._asking: dict[str, asyncio.Task[Any]] = {}

    async def check(self, name: str) -> Finding:
        """One of CHECKS."""
        return await self._once(name, lambda: run_check(name, self._on))

    async def check_all(self) -> dict[str, Finding]:
        """All of CHECKS, side by side."""
        return dict(zip(CHECKS, await asyncio.gather(*(self.check(name) for name in CHECKS)), strict=True))

    async def alerts(self) -> list[Reading]:
        return await self._once("alerts", lambda: read_alerts(self._alerts, self._on))

    async def _once(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        now = asyncio.get_running_loop().time
        asked_at, known = self._known.get(name, (-REMEMBER_SECONDS, None))
        if now() - asked_at < REMEMBER_SECONDS:
            return cast(T, known)
        task = self._asking.get(name)
        if task is None or task.done():
            task = self._asking[name] = asyncio.ensure_future(ask())
        # A client that goes away must not take the answer from the others.
        answer: T = await asyncio.shield(task)
        self._known[name] = (now(), answer)
        return answer
