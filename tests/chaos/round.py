"""One round: inject a fault under load, end it, measure the recovery time and check what must hold."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos import assertions
from tests.chaos.faults.fault import Fault
from tests.chaos.load import message_order
from tests.chaos.load.buyers import BUYERS, Load, Purchase
from tests.chaos.load.client import TimedOut
from tests.chaos.load.viewers import Viewer
from tests.chaos.platform import Platform

VIEWERS = 2
WARM_SECONDS = 0.5
#: A round that has not recovered by then is aborted.
RECOVERY_SECONDS_MAX = 90.0


@dataclass
class RoundResult:
    """The result of one round."""

    fault: str
    recovery_seconds: float = 0.0
    view_seconds: float = 0.0
    purchases: int = 0
    violations: list[str] = field(default_factory=list)


class Experiment:
    """A platform with buyers and viewers, on which rounds run one after the other."""

    def __init__(self, platform: Platform, view_seconds: float = assertions.VIEW_SECONDS, buyers: int = BUYERS) -> None:
        """`view_seconds`: how late a viewer may be after recovery."""
        self.platform, self._view_seconds = platform, view_seconds
        self._violations: list[str] = []
        self.load = Load(platform.url, self._violations.append, buyers)
        self._viewers: list[Viewer] = []
        self._verified = 0
        self._topics: message_order.Topics | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Experiment"]:
        async with AsyncExitStack() as stack:
            if self.platform.broker is not None:
                self._topics = message_order.Topics(self.platform.broker.bootstrap)
                await stack.enter_async_context(message_order.publishing(self.platform))
            await stack.enter_async_context(self.load.running())
            self._open_viewers()
            stack.push_async_callback(self._close_viewers)
            yield self

    async def run(self, fault: Fault, seconds: float) -> RoundResult:
        """Run one round; the fault lasts for `seconds`."""
        result = RoundResult(fault.name)
        if self.load.is_full:
            await self._open_next_event()
        self.load.resume()
        await asyncio.sleep(random.uniform(WARM_SECONDS, 2 * WARM_SECONDS))
        try:
            since = await self._inject(fault, seconds)
            result.recovery_seconds = await self._recovered(since)
            if fault.is_taken_over:
                await fault.heal(self.platform)
        except Exception as error:  # a failed round must not end the run
            self._violations.append(f"{type(error).__name__}: {error}")
        await self.load.pause()
        await self._verify(result)
        result.violations, self._violations[:] = list(self._violations), []
        return result

    async def _inject(self, fault: Fault, seconds: float) -> float:
        """Returns when recovery begins: with the kill, or once the server of an outage responds again."""
        await fault.prepare(self.platform)
        began = time.monotonic()
        await fault.inflict(self.platform)
        if fault.act is not None:
            self._violations.extend(await fault.act(self.platform, self.load))
        await asyncio.sleep(seconds)
        if not fault.is_taken_over:
            await fault.heal(self.platform)
        return time.monotonic() if fault.is_outage else began

    async def _recovered(self, since: float) -> float:
        """Seconds until a purchase that began after `since` has its ticket, and every health check is ok."""
        async with asyncio.timeout(RECOVERY_SECONDS_MAX):
            purchase = await self._buy()
            while not (await self._has_ticket(purchase) and await self._is_healthy()):  # noqa: ASYNC110 (polls the platform)
                await asyncio.sleep(0.05)
        return time.monotonic() - since

    async def _buy(self) -> Purchase:
        while True:
            try:
                if (purchase := await self.load.buy()) is not None and purchase.is_paid:
                    return purchase
            except TimedOut:
                continue

    async def _has_ticket(self, purchase: Purchase) -> bool:
        return bool(await self.platform.query("select id from tickets where order_id = %s", purchase.order_id))

    async def _is_healthy(self) -> bool:
        status, body = await self.load.client.get("/health/ready")
        return status == 200 and all(check["status"] == "ok" for check in body["data"]["checks"].values())

    async def _verify(self, result: RoundResult) -> None:
        new = self.load.purchases[self._verified :]
        result.purchases = len(new)
        try:
            result.view_seconds, late = await assertions.viewers_are_current(
                self.platform, self._viewers, self.load.show.id, self._view_seconds
            )
            self._violations.extend(late)
            self._violations.extend(await assertions.each_paid_order_has_one_ticket(self.platform, new))
            self._violations.extend(await assertions.acknowledgements_kept(self.platform, self.load.purchases))
            self._violations.extend(await assertions.effects_once(self.platform))
            self._violations.extend(await assertions.invariants_hold(self.platform))
            if self._topics is not None:
                self._violations.extend(await message_order.check(self.platform, self._topics))
        except Exception as error:
            self._violations.append(f"could not verify: {type(error).__name__}: {error}")
        self._verified = len(self.load.purchases)

    async def _open_next_event(self) -> None:
        await self._close_viewers()
        await self.load.open_event()
        self._open_viewers()

    def _open_viewers(self) -> None:
        self._viewers = [Viewer(self.platform.url, self.load.show.id) for _ in range(VIEWERS)]

    async def _close_viewers(self) -> None:
        await asyncio.gather(*(viewer.close() for viewer in self._viewers))
