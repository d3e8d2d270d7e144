"""A tenant with one of everything, so that every route has something to speak of."""

from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from tests.support.drain import drain
from tests.support.world import Person, Show, Tenant, World, data

ROWS, SEATS = 8, 60


@dataclass
class Stage:
    """An organization, its people, and what they have made and sold."""

    app: FastAPI
    world: World
    tenant: Tenant
    staff: Person
    scanner: Person
    buyer: Person
    show: Show
    draft: Show
    key: dict[str, Any]
    #: The strongest thing that a machine can hold.
    admin_key: dict[str, Any]
    device: dict[str, Any]
    webhook: dict[str, Any]
    delivery: dict[str, Any]
    seats: list[str]
    #: A hold that runs, and a purchase with its payment and tickets.
    reservation: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    payment: dict[str, Any] = field(default_factory=dict)
    tickets: list[dict[str, Any]] = field(default_factory=list)

    @property
    def admin(self) -> Person:
        return self.tenant.admin

    @property
    def ticket(self) -> dict[str, Any]:
        return self.tickets[0]

    async def hold(self) -> dict[str, Any]:
        """Another seat, held by the buyer."""
        return await self.world.hold(self.buyer, self.show, self.seats.pop())

    async def pend(self) -> dict[str, Any]:
        """Another order that is not paid."""
        return await self.world.order(self.buyer, await self.hold())

    async def buy(self, quantity: int = 1) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        """Another order with its payment and its tickets."""
        seats = [self.seats.pop() for _ in range(quantity)]
        order = await self.world.order(self.buyer, await self.world.hold(self.buyer, self.show, *seats))
        payment = await self.world.payment(self.buyer, order)
        data(await self.world.webhook("payment.succeeded", payment))
        await drain(self.app)
        order = data(await self.buyer.get(f"/orders/{order['id']}"))
        return order, payment, data(await self.buyer.get(f"/orders/{order['id']}/tickets"))


async def set_stage(app: FastAPI, world: World, name: str) -> Stage:
    """Everything, made through the public API."""
    tenant = await world.tenant(name)
    staff, scanner = await world.member(tenant, "ORG_STAFF"), await world.member(tenant, "ORG_SCANNER")
    show = await world.show(tenant, rows=ROWS, seats=SEATS, capacity=500, hold_seconds=3600)
    draft = await world.show(tenant, rows=1, seats=3, capacity=5, publish=False, title="Secret")
    key = data(await tenant.admin.post(tenant.path("/api-keys"), {"name": "gate", "role": "ORG_STAFF"}), 201)
    robot = {"name": "robot", "role": "ORG_ADMIN"}
    admin_key = data(await tenant.admin.post(tenant.path("/api-keys"), robot), 201)
    device = data(await tenant.admin.post(show.path("/devices"), {"name": "Phone", "gate": "South"}), 201)
    hook = {"url": "https://hooks.example.com/a", "description": "Stage"}
    webhook = data(await tenant.admin.post(tenant.path("/webhooks"), hook), 201)
    delivery = data(await tenant.admin.post(tenant.path(f"/webhooks/{webhook['id']}/test")), 201)
    buyer = await world.person("buyer")
    seats = list(reversed(show.labels))
    stage = Stage(
        app, world, tenant, staff, scanner, buyer, show, draft, key, admin_key, device, webhook, delivery, seats
    )
    stage.reservation = await stage.hold()
    stage.order, stage.payment, stage.tickets = await stage.buy(2)
    return stage
