"""The load under which faults happen: buyers who buy without pause, and remember every word that they were given."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import orjson

from tests.chaos.load.client import Client, GaveUp
from tests.support.world import Person, Show, World

BUYERS = 4
PAUSE_SECONDS = 0.1
ROWS, SEATS = 20, 200
#: A hold of these is left to run out.
SHORT_HOLD_SECONDS = 5
#: So much of a house is sold before the next one opens.
FULL = 0.7


@dataclass
class Purchase:
    """What a buyer was told, step by step; each id is a fact that was acknowledged."""

    show: Show
    seat: str
    began_at: float
    reservation_id: str = ""
    order_id: str = ""
    payment: dict[str, Any] | None = None
    is_paid: bool = False


class Load:
    """Buyers, and those who let their holds run out; they can be told to pause."""

    def __init__(self, url: str, violate: Callable[[str], None], buyers: int = BUYERS) -> None:
        self.violate, self._url, self._buyers = violate, url, buyers
        self.client = Client(url, violate)
        self.purchases: list[Purchase] = []
        #: Seconds that each acknowledged hold took, and when it was asked for.
        self.hold_seconds: list[tuple[float, float]] = []
        self._go = asyncio.Event()
        self._busy = 0
        self._taken: set[str] = set()
        self.people: list[Person] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Buy for as long as the block lasts; a buyer who fails makes it fail."""
        await self.open_house()
        async with asyncio.TaskGroup() as tasks:
            everybody = [tasks.create_task(self._buy_on()) for _ in range(self._buyers)]
            everybody.append(tasks.create_task(self._let_run_out()))
            try:
                yield
            finally:
                for one in everybody:
                    one.cancel()
        await self.client.close()

    def resume(self) -> None:
        self._go.set()

    async def pause(self) -> None:
        """Returns when every buyer has come to the end of a purchase."""
        self._go.clear()
        while self._busy:  # noqa: ASYNC110 (it is for a moment, once a round)
            await asyncio.sleep(0.01)

    async def open_house(self) -> None:
        """The next event, and new people: nobody buys more often than a limit allows."""
        async with httpx2.AsyncClient(base_url=self._url, timeout=60, trust_env=False) as client:
            world = World(client)
            tenant = await world.tenant()
            self.show = await world.show(tenant, rows=ROWS, seats=SEATS)
            self.short = await world.show(tenant, rows=1, seats=20, hold_seconds=SHORT_HOLD_SECONDS)
            self.people = [await world.person() for _ in range(40)]
        self._taken = set()

    async def buy(self, seat: str = "") -> Purchase | None:
        """One whole purchase up to its money; None when somebody else has the seat. Raises GaveUp."""
        show, buyer = self.show, random.choice(self.people)
        purchase = Purchase(show, seat or self.choose(), time.monotonic())
        if not await self.hold(purchase, buyer):
            return None
        self.purchases.append(purchase)
        await self.order(purchase, buyer)
        await self.pay(purchase)
        return purchase

    async def hold(self, purchase: Purchase, buyer: Person) -> bool:
        """False when somebody else has the seat."""
        body = {"event_id": purchase.show.id, "seats": [purchase.seat]}
        asked_at = time.monotonic()
        status, answer = await self.client.ask("POST", "/reservations", body, key=uuid4().hex, token=buyer.token)
        if status == 409 and _code(answer) == "seat_contended":  # nobody has it yet
            await asyncio.sleep(PAUSE_SECONDS)
            return await self.hold(purchase, buyer)
        if status != 201:
            self._expect(status, answer, 409, {"seat_unavailable"})
            return False
        self.hold_seconds.append((asked_at, time.monotonic() - asked_at))
        purchase.reservation_id = answer["data"]["id"]
        return True

    async def order(self, purchase: Purchase, buyer: Person) -> None:
        body = {"reservation_id": purchase.reservation_id, "buyer": {"email": buyer.email, "name": "Ada Byron"}}
        status, answer = await self.client.ask("POST", "/orders", body, key=uuid4().hex, token=buyer.token)
        if self._expect(status, answer, 201):
            purchase.order_id = answer["data"]["id"]
            wish = {"order_id": purchase.order_id, "provider": "mock"}
            status, answer = await self.client.ask("POST", "/payments", wish, key=uuid4().hex, token=buyer.token)
            if self._expect(status, answer, 201):
                purchase.payment = answer["data"]

    async def pay(self, purchase: Purchase) -> None:
        """As a provider does it: until it is taken, and now and then twice at once."""
        if purchase.payment is None:
            return
        raw = webhook("payment.succeeded", purchase.payment)
        times = 2 if random.random() < 0.2 else 1
        statuses = await asyncio.gather(*(self.client.webhook(raw) for _ in range(times)))
        if set(statuses) <= {200, 202}:
            purchase.is_paid = True
        else:
            self.violate(f"a webhook was answered with {statuses}")

    async def _buy_on(self) -> None:
        while True:
            await self._go.wait()
            self._busy += 1
            try:
                await self.buy()
            except GaveUp as error:
                self.violate(f"no answer in all that time: {error}")
            finally:
                self._busy -= 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _let_run_out(self) -> None:
        """A hold that nobody pays keeps its seat to its end, and not a moment longer."""
        while True:
            await self._go.wait()
            self._busy += 1
            try:
                held, end = Purchase(self.short, random.choice(self.short.labels), 0), 0.0
                owner, rival = random.sample(self.people, 2)
                # Its end is after this, whatever the answer's way back takes.
                asked_at = time.monotonic()
                if await self.hold(held, owner):
                    end = time.monotonic() + SHORT_HOLD_SECONDS
                    if await self.hold(Purchase(self.short, held.seat, 0), rival):
                        if time.monotonic() < asked_at + SHORT_HOLD_SECONDS:
                            self.violate(f"{held.seat} was held by two at a time")
                        end = 0.0
            except GaveUp as error:
                self.violate(f"no answer in all that time: {error}")
            finally:
                self._busy -= 1
            await asyncio.sleep(PAUSE_SECONDS)
            if end:
                await asyncio.sleep(max(0, end + 0.2 - time.monotonic()))
                await self._claim(held.seat, rival)

    async def _claim(self, seat: str, rival: Person) -> None:
        """The hold has run out: whoever asks now gets the seat, swept or not."""
        self._busy += 1
        try:
            if not await self.hold(Purchase(self.short, seat, 0), rival):
                self.violate(f"{seat} was not free when its hold had run out")
        finally:
            self._busy -= 1
        await asyncio.sleep(SHORT_HOLD_SECONDS + 0.2)

    def choose(self) -> str:
        """Any seat that we have not bought; two may choose the same one."""
        free = [seat for seat in self.show.labels if seat not in self._taken] or self.show.labels
        seat = random.choice(free)
        if random.random() < 0.9:  # else another one will run into it
            self._taken.add(seat)
        return seat

    @property
    def is_full(self) -> bool:
        return len(self._taken) > FULL * len(self.show.labels)

    def _expect(self, status: int, answer: dict[str, Any], wanted: int, codes: set[str] | None = None) -> bool:
        code = _code(answer)
        if status == wanted and (codes is None or code in codes):
            return True
        self.violate(f"{status} {code} in place of {wanted}")
        return False


def _code(answer: dict[str, Any]) -> str:
    return str(answer["errors"][0]["code"]) if answer.get("errors") else ""


def webhook(kind: str, payment: dict[str, Any], **changes: Any) -> bytes:
    """What the mock provider says about a payment; the same words under the same id, however often."""
    amount = payment["amount"]
    body = {
        "id": f"evt_{kind}_{payment['id']}",
        "type": kind,
        "provider_ref": payment["provider_ref"],
        "amount": amount["amount"],
        "currency": amount["currency"],
    }
    return orjson.dumps(body | changes)
