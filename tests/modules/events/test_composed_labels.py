"""Seats are found however an accent is typed: as one code point or as two."""

import unicodedata
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from fastapi import FastAPI

from tests.modules.payments.purchases import run
from tests.support.world import World, data
from ticketing.infra.db import Database, migrate

COMPOSED = "Café-A-1"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
PLAN = {
    "timezone": "Europe/Paris",
    "sections": [{"name": "Cafe\u0301", "category": "E\u0301lite", "rows": [{"name": "A", "seats": 3}]}],
}


async def on_sale(world: World) -> tuple[Any, str]:
    """An event whose plan was sent in the decomposed form; its only section and category have accents."""
    tenant = await world.tenant()
    venue = data(await tenant.admin.post(tenant.path("/venues"), {"name": "Olympia", **PLAN}), 201)
    draft = {"title": "Piaf", "venue_id": venue["id"], "starts_at": "2099-05-01T19:30:00Z", "currency": "EUR"}
    event = data(await tenant.admin.post(tenant.path("/events"), draft), 201)
    path = tenant.path(f"/events/{event['id']}")
    data(await tenant.admin.post(f"{path}/seats/sync"))
    price = {"name": "Elite", "price": 4500, "categories": ["Élite"]}
    data(await tenant.admin.post(f"{path}/ticket-types", price), 201)
    data(await tenant.admin.post(f"{path}/publish"))
    return tenant, event["id"]


@pytest.mark.parametrize("label", [COMPOSED, DECOMPOSED])
async def test_a_seat_is_held_by_its_label_in_any_form(world: World, label: str) -> None:
    _, event_id = await on_sale(world)
    buyer = await world.person()
    held = data(await buyer.post("/reservations", {"event_id": event_id, "seats": [label]}), 201)
    assert [item["seat"] for item in held["items"]] == [COMPOSED]
    section = unicodedata.normalize("NFD", "Café")
    seats = data(await buyer.get(f"/events/{event_id}/seats", params={"section": section}))
    assert [seat["label"] for seat in seats] == ["Café-A-1", "Café-A-2", "Café-A-3"]


async def test_labels_that_an_earlier_release_stored_are_composed(
    app: FastAPI, database: Database, world: World
) -> None:
    _, event_id = await on_sale(world)
    for table in ("event_seats", "plan_seats"):
        await run(app, f"update {table} set label = normalize(label, NFD), category = normalize(category, NFD)")
    # Two labels that differ in nothing but their form: the composed one keeps its place.
    await run(app, "update event_seats set label = 'Café-A-2' where number = 2")
    await run(app, "update category_prices set category = normalize(category, NFD)")
    await run(app, "update seating_plans set layout = normalize(layout::text, NFD)::jsonb")
    migration = ScriptDirectory.from_config(migrate.config("")).get_revision("0033").module
    for statement in (*map(migration.compose, migration.COLUMNS), migration.LAYOUTS):
        await run(app, statement)
    buyer = await world.person()
    held = data(await buyer.post("/reservations", {"event_id": event_id, "seats": ["Café-A-1"]}), 201)
    assert held["items"][0]["price"]["amount"] == 4500
    labels = [seat["label"] for seat in data(await buyer.get(f"/events/{event_id}/seats"))]
    assert labels == ["Café-A-1", unicodedata.normalize("NFD", "Café-A-2"), "Café-A-2"]
    layout = data(await buyer.get(f"/events/{event_id}/seatmap"))
    assert [category["name"] for category in layout["categories"]] == ["Élite"]
