"""A buyer of an event with a purchase limit, and a simple model of the allowance that is left."""

import random
from typing import Any

import httpx2
from fastapi import FastAPI

from tests.modules.payments.purchases import end_hold
from tests.support.drain import drain
from tests.support.world import Person, Show, World, data, refusal
from ticketing.modules import reservations

LIMIT = 4


async def post_hold(buyer: Person, show: Show, quantity: int) -> httpx2.Response:
    """Hold standing places, which only the limit can refuse."""
    items = [{"ticket_type_id": show.area_type_id, "quantity": quantity}]
    return await buyer.post("/reservations", {"event_id": show.id, "items": items})


async def limited(world: World, limit: int | None = LIMIT, capacity: int = 500, **event: Any) -> Show:
    return await world.show(seats=0, capacity=capacity, max_per_buyer=limit, **event)


async def left(buyer: Person, show: Show) -> int:
    """The rest of the buyer's allowance, from the refusal of a quantity that is always too large."""
    error = refusal(await post_hold(buyer, show, 10), 422)
    assert error["code"] == "limit_exceeded"
    return int(error["left"])


class LimitedBuyer:
    """Random actions of one buyer at one event, and the model: the places of each active hold and of each order."""

    def __init__(self, app: FastAPI, world: World, show: Show, buyer: Person, rng: random.Random) -> None:
        self.app, self.world, self.show, self.buyer, self.rng = app, world, show, buyer, rng
        self.active: dict[str, int] = {}
        self.bought: dict[str, int] = {}

    @property
    def left(self) -> int:
        return LIMIT - sum(self.active.values()) - sum(self.bought.values())

    async def hold(self) -> None:
        wanted = self.rng.randint(1, 3)
        answer = await post_hold(self.buyer, self.show, wanted)
        assert answer.status_code == (201 if wanted <= self.left else 422)
        if answer.status_code == 201:
            self.active[data(answer, 201)["id"]] = wanted

    async def cancel(self) -> None:
        data(await self.buyer.delete(f"/reservations/{self._end_one()[0]}"))

    async def expire(self) -> None:
        await end_hold(self.app, self._end_one()[0], -1)

    async def sweep(self) -> None:
        await end_hold(self.app, self._end_one()[0], -1)
        async with self.app.state.worker_database.transaction() as session:
            await reservations.expire_due(session)

    async def pay(self) -> None:
        reservation_id, quantity = self._end_one()
        payment = await self.world.payment(self.buyer, await self.world.order(self.buyer, {"id": reservation_id}))
        data(await self.world.webhook("payment.succeeded", payment))
        await drain(self.app)
        self.bought[payment["order_id"]] = quantity

    async def refund(self) -> None:
        order_id = self.rng.choice(list(self.bought))
        tickets = data(await self.buyer.get(f"/orders/{order_id}/tickets"))
        live = [ticket["id"] for ticket in tickets if ticket["status"] == "issued"]
        voided = self.rng.sample(live, self.rng.randint(1, len(live)))
        body = {} if len(voided) == len(tickets) else {"ticket_ids": voided}
        data(await self.show.tenant.admin.post(f"/orders/{order_id}/refunds", body), 201)
        self.bought[order_id] -= len(voided)
        self.bought = {k: n for k, n in self.bought.items() if n}

    def _end_one(self) -> tuple[str, int]:
        chosen = self.rng.choice(list(self.active))
        return chosen, self.active.pop(chosen)

    async def step(self) -> None:
        possible = [self.hold]
        possible += [self.cancel, self.expire, self.sweep, self.pay] if self.active else []
        possible += [self.refund, self.refund] if self.bought else []
        await self.rng.choice(possible)()
