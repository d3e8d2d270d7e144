"""Ticket types price seats or have a capacity, and nothing is priced twice."""

from typing import Any
from uuid import UUID

import pytest

from tests.modules.events.seat_driver import Stage
from tests.support.world import World, data, refusal
from ticketing.infra.db import Database
from ticketing.modules import events


async def test_a_type_prices_the_seats_of_its_categories(world: World, database: Database) -> None:
    show = await world.show(publish=False)
    (listed,) = data(await show.tenant.admin.get(show.path("/ticket-types")))
    assert (listed["name"], listed["price"]) == ("Seat", {"amount": 4500, "currency": "EUR", "digits": 2})
    assert (listed["categories"], listed["capacity"], listed["available"]) == (["Stalls"], None, None)
    async with Stage(database, show).batch() as connection:
        asked = await events.query_sale_terms(connection, UUID(show.tenant.id), [UUID(show.id)])
        assert await asked.fetch() == {}, "it was never published"
    data(await show.tenant.admin.post(show.path("/seats/sync")))
    data(await show.tenant.admin.post(show.path("/publish")))
    async with Stage(database, show).batch() as connection:
        asked = await events.query_sale_terms(connection, UUID(show.tenant.id), [UUID(show.id)])
        (sale,) = (await asked.fetch()).values()
    assert {category: offer.price_minor for category, offer in sale.by_category.items()} == {"Stalls": 4500}
    assert (sale.areas, sale.currency, sale.refusal) == ({}, "EUR", None)


async def test_a_type_with_a_capacity_is_general_admission(world: World) -> None:
    show = await world.show(seats=0, publish=False)
    body = {"name": "Standing", "price": 0, "capacity": 1_000_000, "max_per_order": 4}
    made = data(await show.tenant.admin.post(show.path("/ticket-types"), body), 201)
    assert (made["capacity"], made["available"], made["categories"]) == (1_000_000, 1_000_000, [])
    assert (made["price"]["amount"], made["max_per_order"]) == (0, 4)


STANDING = {"name": "Standing", "price": 100, "capacity": 5}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"price": -1}, "price"),
        ({"price": 10**12 + 1}, "price"),
        ({"price": 45.5}, "price"),
        ({"price": "45"}, "price"),
        ({"price": True}, "price"),
        ({"capacity": 0}, "capacity"),
        ({"capacity": 1_000_001}, "capacity"),
        ({"capacity": None}, "capacity"),
        ({"categories": ["Stalls"]}, "capacity"),
        ({"capacity": None, "categories": []}, "categories"),
        ({"capacity": None, "categories": ["Gold", "Stalls"]}, "categories"),
        ({"max_per_order": 0}, "max_per_order"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_an_invalid_ticket_type_is_refused_with_the_field(
    world: World, changes: dict[str, Any], field: str
) -> None:
    show = await world.show(rows=1, seats=1, publish=False)
    answer = await show.tenant.admin.post(show.path("/ticket-types"), {**STANDING, **changes})
    error = refusal(answer, 422)
    assert error["field"] == field
    assert error.get("categories", ["Gold"]) == ["Gold"]
    assert len(data(await show.tenant.admin.get(show.path("/ticket-types")))) == 1


async def test_a_category_is_priced_once(world: World) -> None:
    show = await world.show(rows=1, seats=1, publish=False)
    body = {"name": "Again", "price": 1, "categories": ["Stalls"]}
    error = refusal(await show.tenant.admin.post(show.path("/ticket-types"), body), 409)
    assert (error["code"], error["categories"]) == ("category_priced", ["Stalls"])
    assert len(data(await show.tenant.admin.get(show.path("/ticket-types")))) == 1


async def test_a_name_is_used_once_per_event(world: World) -> None:
    show = await world.show(seats=0, capacity=5, publish=False)
    error = refusal(await show.tenant.admin.post(show.path("/ticket-types"), STANDING), 409)
    assert (error["code"], error["field"]) == ("name_taken", "name")


async def test_an_event_without_a_venue_has_no_seats_to_price(world: World) -> None:
    show = await world.show(seats=0, publish=False)
    body = {"name": "Seat", "price": 1, "categories": ["Stalls"]}
    assert refusal(await show.tenant.admin.post(show.path("/ticket-types"), body), 422)["field"] == "categories"
