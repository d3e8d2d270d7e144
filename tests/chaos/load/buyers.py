"""The load: buyers that buy without pause and record every acknowledgement."""

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

from tests.chaos.load.client import Client, TimedOut
from tests.support.world import Person, Show, World

BUYERS = 4
PAUSE_SECONDS = 0.1
ROWS, SEATS = 20, 200
#: Holds of the second event lapse after this.
SHORT_HOLD_SECONDS = 5
#: The next event opens when this share of the seats is sold.
FULL = 0.7


@dataclass
class Purchase:
    """A purchase, step by step; each id was acknowledged by the platform."""

    show: Show
    seat: str
    began_at: float
    reservation_id: str = ""
    order_id: str = ""
    payment: dict[str, Any] | None = None
    is_paid: bool = False


class Load:
    """Buyers, and one client that lets its holds lapse; all of them can be paused."""

    def __init__(self, url: str, violate: Callable[[str], None], buyers: int = BUYERS) -> None:
        self.violate, self._url, self._buyers = violate, url, buyers
        self.client = Client(url, violate)
        self.purchases: list[Purchase] = []
        #: Of each acknowledged hold: when it was requested, and its seconds.
        self.hold_seconds: list[tuple[float, float]] = []
        self._go = asyncio.Event()
        self._busy = 0
        self._taken: set[str] = set()
        self.people: list[Person] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Buy for the duration of the block; an error of a buyer is raised from it."""
        await self.open_event()
        async with asyncio.TaskGroup() as tasks:
            tasks_running = [tasks.create_task(self._buy_on()) for _ in range(self._buyers)]
            tasks_running.append(tasks.create_task(self._let_lapse()))
            try:
                yield
            finally:
                for one in tasks_running:
                    one.cancel()
        await self.client.close()

    def resume(self) -> None:
        self._go.set()

    async def pause(self) -> None:
        """Stop buying; returns when every purchase in progress has ended."""
        self._go.clear()
        while self._busy:  # noqa: ASYNC110 (short, once per round)
            await asyncio.sleep(0.01)

    async def open_event(self) -> None:
        """Open the next event, with new buyers, so that no buyer meets a rate or purchase limit."""
        async with httpx2.AsyncClient(base_url=self._url, timeout=60, trust_env=False) as client:
            world = World(client)
            tenant = await world.tenant()
            self.show = await world.show(tenant, rows=ROWS, seats=SEATS)
            self.short = await world.show(tenant, rows=1, seats=20, hold_seconds=SHORT_HOLD_SECONDS)
            self.people = [await world.person() for _ in range(40)]
        self._taken = set()

    async def buy(self, seat: str = "") -> Purchase | None:
        """One purchase including the payment; None when the seat is taken. Raises TimedOut."""
        show, buyer = self.show, random.choice(self.people)
        purchase = Purchase(show, seat or self.choose(), time.monotonic())
        if not await self.hold(purchase, buyer):
            return None
        self.purchases.append(purchase)
        await self.order(purchase, buyer)
        await self.pay(purchase)
        return purchase

    async def hold(self, purchase: Purchase, buyer: Person) -> bool:
        """False when the seat is taken."""
        body = {"event_id": purchase.show.id, "seats": [purchase.seat]}
        asked_at = time.monotonic()
        status, answer = await self.client.ask("POST", "/reservations", body, key=uuid4().hex, token=buyer.token)
        if status == 409 and _code(answer) == "seat_contended":  # locked, not taken
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
            payment = {"order_id": purchase.order_id, "provider": "mock"}
            status, answer = await self.client.ask("POST", "/payments", payment, key=uuid4().hex, token=buyer.token)
            if self._expect(status, answer, 201):
                purchase.payment = answer["data"]

    async def pay(self, purchase: Purchase) -> None:
        """Send the webhook as a provider does: until it is accepted, and sometimes twice at once."""
        if purchase.payment is None:
            return
        raw = webhook("payment.succeeded", purchase.payment)
        times = 2 if random.random() < 0.2 else 1
        statuses = await asyncio.gather(*(self.client.webhook(raw) for _ in range(times)))
        if set(statuses) <= {200, 202}:
            purchase.is_paid = True
        else:
            self.violate(f"webhooks got {statuses}")

    async def _buy_on(self) -> None:
        while True:
            await self._go.wait()
            self._busy += 1
            try:
                await self.buy()
            except TimedOut as error:
                self.violate(f"timed out: {error}")
            finally:
                self._busy -= 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _let_lapse(self) -> None:
        """An unpaid hold keeps its seat until it lapses, and no longer."""
        while True:
            await self._go.wait()
            self._busy += 1
            try:
                held, end = Purchase(self.short, random.choice(self.short.labels), 0), 0.0
                owner, rival = random.sample(self.people, 2)
                # The hold ends later than this plus its duration, however long the response takes.
                asked_at = time.monotonic()
                if await self.hold(held, owner):
                    end = time.monotonic() + SHORT_HOLD_SECONDS
                    if await self.hold(Purchase(self.short, held.seat, 0), rival):
                        if time.monotonic() < asked_at + SHORT_HOLD_SECONDS:
                            self.violate(f"{held.seat} was held by two buyers at once")
                        end = 0.0
            except TimedOut as error:
                self.violate(f"timed out: {error}")
            finally:
                self._busy -= 1
            await asyncio.sleep(PAUSE_SECONDS)
            if end:
                await asyncio.sleep(max(0, end + 0.2 - time.monotonic()))
                await self._claim(held.seat, rival)

    async def _claim(self, seat: str, rival: Person) -> None:
        """The hold has lapsed: the next request gets the seat, swept or not."""
        self._busy += 1
        try:
            if not await self.hold(Purchase(self.short, seat, 0), rival):
                self.violate(f"{seat} was not available after its hold had lapsed")
        finally:
            self._busy -= 1
        await asyncio.sleep(SHORT_HOLD_SECONDS + 0.2)

    def choose(self) -> str:
        """A seat that is not bought yet; two buyers may choose the same one."""
        free = [seat for seat in self.show.labels if seat not in self._taken] or self.show.labels
        seat = random.choice(free)
        if random.random() < 0.9:  # the others stay available for a second buyer to collide with
            self._taken.add(seat)
        return seat

    @property
    def is_full(self) -> bool:
        return len(self._taken) > FULL * len(self.show.labels)

    def _expect(self, status: int, answer: dict[str, Any], wanted: int, codes: set[str] | None = None) -> bool:
        code = _code(answer)
        if status == wanted and (codes is None or code in codes):
            return True
        self.violate(f"{status} {code} instead of {wanted}")
        return False


def _code(answer: dict[str, Any]) -> str:
    return str(answer["errors"][0]["code"]) if answer.get("errors") else ""


def webhook(kind: str, payment: dict[str, Any], **changes: Any) -> bytes:
    """A webhook of the mock provider; the event id depends on kind and payment only, so that repeats are duplicates."""
    amount = payment["amount"]
    body = {
        "id": f"evt_{kind}_{payment['id']}",
        "type": kind,
        "provider_ref": payment["provider_ref"],
        "amount": amount["amount"],
        "currency": amount["currency"],
    }
    return orjson.dumps(body | changes)
