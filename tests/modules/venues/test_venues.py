"""Venues created from sections and rows, and access to venues."""

from typing import Any
from uuid import uuid4

import pytest

from tests.support.world import World, data, refusal

ROW = {"name": "A", "seats": 3}
SECTION = {"name": "Stalls", "category": "Best", "rows": [ROW]}
VENUE = {"name": "Hall", "city": "Utrecht", "country": "NL", "timezone": "Europe/Amsterdam", "sections": [SECTION]}


async def seats_of(world: World, venue: dict[str, Any], tenant: Any) -> dict[str, Any]:
    """Return the seat map of a new event in this venue."""
    body = {"title": "Show", "starts_at": "2030-06-01T19:00:00Z", "currency": "EUR", "venue_id": venue["id"]}
    event = data(await tenant.admin.post(tenant.path("/events"), body), 201)
    data(await tenant.admin.post(tenant.path(f"/events/{event['id']}/seats/sync")))
    return data(await tenant.admin.get(f"/events/{event['id']}/seatmap"))


async def test_a_venue_of_sections_and_rows_has_labelled_seats_in_plan_order(world: World) -> None:
    tenant = await world.tenant()
    circle = {"name": "Circle", "category": "Cheap", "rows": [{"name": "1", "seats": 1}, {"name": "2", "seats": 2}]}
    answer = data(await tenant.admin.post(tenant.path("/venues"), {**VENUE, "sections": [SECTION, circle]}), 201)
    assert answer["capacity"] == 6
    assert answer["plan_version"] == 1
    assert {k: answer[k] for k in ("name", "city", "country", "timezone")} == {
        k: v for k, v in VENUE.items() if k != "sections"
    }
    seatmap = await seats_of(world, answer, tenant)
    assert [s["number"] for s in seatmap["seats"]] == list(range(6))
    labels = ["Stalls-A-1", "Stalls-A-2", "Stalls-A-3", "Circle-1-1", "Circle-2-1", "Circle-2-2"]
    assert [s["label"] for s in seatmap["seats"]] == labels
    assert [c["name"] for c in seatmap["categories"]] == ["Best", "Cheap"]


async def test_seats_of_a_generated_plan_have_distinct_positions(world: World) -> None:
    tenant = await world.tenant()
    sections = [
        {"name": f"Block {n}", "category": "Any", "rows": [{"name": r, "seats": 8 + n} for r in "ABC"]}
        for n in range(5)
    ]
    venue = data(await tenant.admin.post(tenant.path("/venues"), {**VENUE, "sections": sections}), 201)
    seatmap = await seats_of(world, venue, tenant)
    places = {(seat["x"], seat["y"]) for seat in seatmap["seats"]}
    assert len(places) == venue["capacity"], "no two seats have the same position"
    assert all(0 < x < seatmap["width"] and 0 < y < seatmap["height"] for x, y in places)
    first, second = seatmap["seats"][:2]
    assert (second["x"] - first["x"], second["y"]) == (24, first["y"])
    fronts = [seat["y"] for seat in seatmap["seats"] if seat["section"] == "Block 0" and seat["seat"] == "1"]
    assert fronts == sorted(fronts), "row A is nearest to the stage"


async def test_a_venue_may_have_standing_places_only(world: World) -> None:
    tenant = await world.tenant()
    answer = data(await tenant.admin.post(tenant.path("/venues"), {"name": "Club", "timezone": "UTC"}), 201)
    assert answer["capacity"] == 0


async def test_a_venue_has_at_most_200_000_seats(world: World) -> None:
    tenant = await world.tenant()
    sections = [
        {"name": str(s), "category": "C", "rows": [{"name": str(r), "seats": 1000} for r in range(100)]}
        for s in range(2)
    ]
    answer = data(await tenant.admin.post(tenant.path("/venues"), {**VENUE, "sections": sections}), 201)
    assert answer["capacity"] == 200_000
    sections.append({"name": "one more", "category": "C", "rows": [{"name": "A", "seats": 1}]})
    error = refusal(await tenant.admin.post(tenant.path("/venues"), {**VENUE, "sections": sections}), 422)
    assert error["field"] == "sections"
    assert "200,001" in error["message"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "nul\x00"}, "name"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"country": "Netherlands"}, "country"),
        ({"colour": "red"}, "colour"),
        ({"sections": [{**SECTION, "name": str(n)} for n in range(201)]}, "sections"),
        ({"sections": [SECTION, SECTION]}, "sections.1.name"),
        ({"sections": [{**SECTION, "category": ""}]}, "sections.0.category"),
        ({"sections": [{**SECTION, "rows": []}]}, "sections.0.rows"),
        ({"sections": [{**SECTION, "rows": [ROW, ROW]}]}, "sections.0.rows.1.name"),
        ({"sections": [{**SECTION, "rows": [{"name": str(n), "seats": 1} for n in range(501)]}]}, "sections.0.rows"),
        ({"sections": [{**SECTION, "rows": [{**ROW, "seats": 0}]}]}, "sections.0.rows.0.seats"),
        ({"sections": [{**SECTION, "rows": [{**ROW, "seats": 1001}]}]}, "sections.0.rows.0.seats"),
        ({"sections": [{**SECTION, "rows": [{**ROW, "seats": "many"}]}]}, "sections.0.rows.0.seats"),
        # Section A-B with row 1, and section A with row B-1, have the same label A-B-1-1.
        (
            {
                "sections": [
                    {"name": "A-B", "category": "C", "rows": [{"name": "1", "seats": 1}]},
                    {"name": "A", "category": "C", "rows": [{"name": "B-1", "seats": 1}]},
                ]
            },
            "sections.1.rows.0",
        ),
    ],
)
async def test_an_invalid_venue_names_the_field(world: World, changes: dict[str, Any], field: str) -> None:
    tenant = await world.tenant()
    assert refusal(await tenant.admin.post(tenant.path("/venues"), {**VENUE, **changes}), 422)["field"] == field
    assert data(await tenant.admin.get(tenant.path("/venues"))) == []


async def test_venues_are_listed_newest_first_and_page_by_page(world: World) -> None:
    tenant = await world.tenant()
    made = [data(await tenant.admin.post(tenant.path("/venues"), {**VENUE, "name": str(n)}), 201) for n in range(3)]
    first = await tenant.admin.get(tenant.path("/venues?limit=2"))
    cursor = first.json()["meta"]["next_cursor"]
    second = await tenant.admin.get(tenant.path(f"/venues?limit=2&cursor={cursor}"))
    assert [v["name"] for v in data(first) + data(second)] == ["2", "1", "0"]
    assert second.json()["meta"]["next_cursor"] is None
    assert data(await tenant.admin.get(tenant.path(f"/venues/{made[0]['id']}"))) == made[0]


async def test_a_venue_is_not_found_in_another_organization(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    venue = await world.venue(tenant)
    assert refusal(await other.admin.get(other.path(f"/venues/{venue['id']}")), 404)["code"] == "not_found"
    assert refusal(await other.admin.get(tenant.path("/venues")), 404)["code"] == "not_found"
    assert refusal(await other.admin.post(tenant.path("/venues"), VENUE), 404)["code"] == "not_found"
    assert data(await other.admin.get(other.path("/venues"))) == []
    assert refusal(await tenant.admin.get(tenant.path(f"/venues/{uuid4()}")), 404)["code"] == "not_found"


async def test_scanners_read_venues_and_cannot_create_them(world: World) -> None:
    tenant = await world.tenant()
    scanner = await world.member(tenant, "ORG_SCANNER")
    assert data(await scanner.get(tenant.path("/venues"))) == []
    assert refusal(await scanner.post(tenant.path("/venues"), VENUE), 403)["code"] == "forbidden"


async def test_a_retried_request_makes_one_venue(world: World) -> None:
    tenant = await world.tenant()
    first = await tenant.admin.post(tenant.path("/venues"), VENUE, key="once")
    again = await tenant.admin.post(tenant.path("/venues"), VENUE, key="once")
    assert again.content == first.content
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(data(await tenant.admin.get(tenant.path("/venues")))) == 1


async def test_a_focal_point_is_kept_with_the_plan(world: World) -> None:
    tenant = await world.tenant()
    for given in ({"x": 36, "y": 0.5}, None):
        venue = data(await tenant.admin.post(tenant.path("/venues"), {**VENUE, "focal_point": given}), 201)
        assert (await seats_of(world, venue, tenant)).get("focal_point") == given


@pytest.mark.parametrize("given", [{"x": 1}, {"x": 1, "y": 1e9}, {"x": "left", "y": 1}, [1, 2]])
async def test_a_focal_point_that_is_none_is_refused(world: World, given: Any) -> None:
    tenant = await world.tenant()
    answer = await tenant.admin.post(tenant.path("/venues"), {**VENUE, "focal_point": given})
    assert refusal(answer, 422)["field"].startswith("focal_point")
