"""A tenant with one resource of every kind, so that every route has something to refer to."""

from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

from tests.support.drain import drain
from tests.support.world import Person, Show, Tenant, World, data

ROWS, SEATS = 8, 60


@dataclass
class FullTenant:
    """An organization, its users, its events and its sales."""

    app: FastAPI
    world: World
    organization: Tenant
    staff: Person
    scanner: Person
    buyer: Person
    show: Show
    draft: Show
    key: dict[str, Any]
    #: An API key with the most permissions that a key can have.
    admin_key: dict[str, Any]
    device: dict[str, Any]
    webhook: dict[str, Any]
    delivery: dict[str, Any]
    invitation: dict[str, Any]
    seats: list[str]
    #: An active hold, and a purchase with its payment and tickets.
    reservation: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)
    payment: dict[str, Any] = field(default_factory=dict)
    tickets: list[dict[str, Any]] = field(default_factory=list)

    @property
    def admin(self) -> Person:
        return self.organization.admin

    @property
    def ticket(self) -> dict[str, Any]:
        return self.tickets[0]

    async def hold(self) -> dict[str, Any]:
        """Hold another seat for the buyer."""
        return await self.world.hold(self.buyer, self.show, self.seats.pop())

    async def create_order(self) -> dict[str, Any]:
        """Create another pending order."""
        return await self.world.order(self.buyer, await self.hold())

    async def buy(self, quantity: int = 1) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
        """Create another paid order; returns it with its payment and tickets."""
        seats = [self.seats.pop() for _ in range(quantity)]
        order = await self.world.order(self.buyer, await self.world.hold(self.buyer, self.show, *seats))
        payment = await self.world.payment(self.buyer, order)
        data(await self.world.webhook("payment.succeeded", payment))
        await drain(self.app)
        order = data(await self.buyer.get(f"/orders/{order['id']}"))
        return order, payment, data(await self.buyer.get(f"/orders/{order['id']}/tickets"))


async def create_full_tenant(app: FastAPI, world: World, name: str) -> FullTenant:
    """Create the tenant through the public API."""
    organization = await world.tenant(name)
    staff, scanner = await world.member(organization, "ORG_STAFF"), await world.member(organization, "ORG_SCANNER")
    show = await world.show(organization, rows=ROWS, seats=SEATS, capacity=500, hold_seconds=3600)
    draft = await world.show(organization, rows=1, seats=3, capacity=5, publish=False, title="Secret")
    key = data(
        await organization.admin.post(organization.path("/api-keys"), {"name": "gate", "role": "ORG_STAFF"}), 201
    )
    admin_body = {"name": "robot", "role": "ORG_ADMIN"}
    admin_key = data(await organization.admin.post(organization.path("/api-keys"), admin_body), 201)
    device = data(await organization.admin.post(show.path("/devices"), {"name": "Phone", "gate": "South"}), 201)
    webhook_body = {"url": "https://hooks.example.com/a", "description": "Full tenant"}
    webhook = data(await organization.admin.post(organization.path("/webhooks"), webhook_body), 201)
    delivery = data(await organization.admin.post(organization.path(f"/webhooks/{webhook['id']}/test")), 201)
    guest = {"email": f"guest-of-{name}@example.com", "role": "ORG_SCANNER"}
    invitation = data(await organization.admin.post(organization.path("/invitations"), guest), 201)
    buyer = await world.person("buyer")
    seats = list(reversed(show.labels))
    tenant = FullTenant(
        app,
        world,
        organization,
        staff,
        scanner,
        buyer,
        show,
        draft,
        key,
        admin_key,
        device,
        webhook,
        delivery,
        invitation,
        seats,
    )
    tenant.reservation = await tenant.hold()
    tenant.order, tenant.payment, tenant.tickets = await tenant.buy(2)
    return tenant
