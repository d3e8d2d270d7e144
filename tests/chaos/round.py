"""One round: under load something goes wrong, and is over; how long until all is well, and what was not kept."""

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
from tests.chaos.load.client import GaveUp
from tests.chaos.load.viewers import Watcher
from tests.chaos.platform import Ground

VIEWERS = 2
WARM_SECONDS = 0.5
#: Nothing recovers later than this; a round that waits for longer is broken off.
RECOVERY_SECONDS_MAX = 90.0


@dataclass
class Outcome:
    """What a round has shown."""

    fault: str
    recovery_seconds: float = 0.0
    view_seconds: float = 0.0
    purchases: int = 0
    violations: list[str] = field(default_factory=list)


class Arena:
    """A ground with buyers and viewers on it, where rounds are played one after the other."""

    def __init__(self, ground: Ground, view_seconds: float = assertions.VIEW_SECONDS, buyers: int = BUYERS) -> None:
        """`view_seconds`: how late a viewer may be, once everything is well again."""
        self.ground, self._view_seconds = ground, view_seconds
        self._violations: list[str] = []
        self.load = Load(ground.url, self._violations.append, buyers)
        self._watchers: list[Watcher] = []
        self._settled = 0
        self._topics: message_order.Topics | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Arena"]:
        async with AsyncExitStack() as stack:
            if self.ground.broker is not None:
                self._topics = message_order.Topics(self.ground.broker.bootstrap)
                await stack.enter_async_context(message_order.told(self.ground))
            await stack.enter_async_context(self.load.running())
            self._watch()
            stack.push_async_callback(self._close_watchers)
            yield self

    async def play(self, fault: Fault, seconds: float) -> Outcome:
        """One round; `seconds` is how long the fault lasts."""
        outcome = Outcome(fault.name)
        if self.load.is_full:
            await self._change_house()
        self.load.resume()
        await asyncio.sleep(random.uniform(WARM_SECONDS, 2 * WARM_SECONDS))
        try:
            since = await self._go_through(fault, seconds)
            outcome.recovery_seconds = await self._recovered(since)
            if fault.is_taken_over:
                await fault.heal(self.ground)
        except Exception as error:  # the run goes on: that is what it is for
            self._violations.append(f"{type(error).__name__}: {error}")
        await self.load.pause()
        await self._look(outcome)
        outcome.violations, self._violations[:] = list(self._violations), []
        return outcome

    async def _go_through(self, fault: Fault, seconds: float) -> float:
        """When recovery begins: with a kill, or when an outage is over and whoever was away answers again."""
        await fault.prepare(self.ground)
        began = time.monotonic()
        await fault.inflict(self.ground)
        if fault.act is not None:
            self._violations.extend(await fault.act(self.ground, self.load))
        await asyncio.sleep(seconds)
        if not fault.is_taken_over:
            await fault.heal(self.ground)
        return time.monotonic() if fault.is_outage else began

    async def _recovered(self, since: float) -> float:
        """Seconds until a purchase that was begun since has its ticket, and everything says that it is well."""
        async with asyncio.timeout(RECOVERY_SECONDS_MAX):
            purchase = await self._buy()
            while not (await self._has_ticket(purchase) and await self._is_well()):  # noqa: ASYNC110 (nobody tells us)
                await asyncio.sleep(0.05)
        return time.monotonic() - since

    async def _buy(self) -> Purchase:
        while True:
            try:
                if (purchase := await self.load.buy()) is not None and purchase.is_paid:
                    return purchase
            except GaveUp:
                continue

    async def _has_ticket(self, purchase: Purchase) -> bool:
        return bool(await self.ground.query("select id from tickets where order_id = %s", purchase.order_id))

    async def _is_well(self) -> bool:
        status, answer = await self.load.client.look("/health/ready")
        return status == 200 and all(check["status"] == "ok" for check in answer["data"]["checks"].values())

    async def _look(self, outcome: Outcome) -> None:
        new = self.load.purchases[self._settled :]
        outcome.purchases = len(new)
        try:
            outcome.view_seconds, late = await assertions.viewers_right(
                self.ground, self._watchers, self.load.show.id, self._view_seconds
            )
            self._violations.extend(late)
            self._violations.extend(await assertions.until_tickets(self.ground, new))
            self._violations.extend(await assertions.words_kept(self.ground, self.load.purchases))
            self._violations.extend(await assertions.effects_once(self.ground))
            self._violations.extend(await assertions.contradictions(self.ground))
            if self._topics is not None:
                self._violations.extend(await message_order.kept(self.ground, self._topics))
        except Exception as error:
            self._violations.append(f"could not look: {type(error).__name__}: {error}")
        self._settled = len(self.load.purchases)

    async def _change_house(self) -> None:
        await self._close_watchers()
        await self.load.open_house()
        self._watch()

    def _watch(self) -> None:
        self._watchers = [Watcher(self.ground.url, self.load.show.id) for _ in range(VIEWERS)]

    async def _close_watchers(self) -> None:
        await asyncio.gather(*(watcher.close() for watcher in self._watchers))
