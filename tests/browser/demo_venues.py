"""Events in the venues of the demo: the theatre with held and sold seats, and the arena with 16,296 seats."""

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from tests.support.platform import tickets_of
from tests.support.world import Person, Show, Tenant, World, data

PLACE = {"format": "pretix", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam"}
ABOUT = "A late romance in a new staging, with live music. Two and a half hours, one interval."
STANDING = {"name": "Standing floor", "price": 8000, "capacity": 2500}


@dataclass(frozen=True)
class Theatre:
    """An event in the theatre, its door staff, and one guest with an order."""

    show: Show
    scanner: Person
    guest: Person
    reference: str
    code: str


async def create_event(world: World, tenant: Tenant, plan_name: str, title: str, *more: dict[str, Any]) -> Show:
    """Publish an event with a seating plan of the demo and a price per category; `more` are further ticket types."""
    admin = tenant.admin
    plan = json.loads((files("ticketing") / "demo" / f"{plan_name}.json").read_text())
    venue = data(await admin.post(tenant.path("/venues/import"), plan, params=PLACE), 201)
    body = {"title": title, "venue_id": venue["id"], "starts_at": "2030-06-01T18:00:00Z", "currency": "EUR"}
    event = data(await admin.post(tenant.path("/events"), {**body, "description": ABOUT}), 201)
    show = Show(tenant, event["id"], venue["id"], None, None)
    prices = [
        {"name": category["name"], "price": 9500 - 1500 * n, "categories": [category["name"]]}
        for n, category in enumerate(plan["categories"])
    ]
    for ticket_type in (*prices, *more):
        data(await admin.post(show.path("/ticket-types"), ticket_type), 201)
    data(await admin.post(show.path("/seats/sync")))
    data(await admin.post(show.path("/publish")))
    return show


async def create_theatre(world: World) -> Theatre:
    """Publish an event in the theatre with held and sold seats, and a guest with two tickets."""
    tenant = await world.tenant("theatre")
    show = await create_event(world, tenant, "theatre", "The Winter's Tale")
    guest, other = await world.person("guest"), await world.person("other")
    order = await world.buy(guest, show, best_available={"quantity": 2, "category": "Premium"})
    for quantity in (3, 4, 2):
        await world.buy(other, show, best_available={"quantity": quantity, "category": "Standard"})
        await world.hold(other, show, best_available={"quantity": quantity, "category": "Value"})
    tickets = await tickets_of(guest, order, 2)
    scanner = await world.member(tenant, "ORG_SCANNER")
    return Theatre(show, scanner, guest, order["reference"], tickets[0]["code"])
