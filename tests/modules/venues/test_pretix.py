"""Importing seating plans from pretix: everything is kept, and errors carry the path of the field."""

import json
from typing import Any

import pytest

from tests.modules.venues.plans import plan, row, seat
from tests.modules.venues.test_venues import seats_of
from tests.support.world import World, data, refusal
from ticketing.infra.errors import Invalid
from ticketing.modules.venues.pretix import read_plan


def read(document: dict[str, Any]) -> Any:
    return read_plan(json.dumps(document).encode()).draft


async def test_an_imported_plan_keeps_positions_categories_zones_rows_and_areas(world: World) -> None:
    tenant = await world.tenant()
    path = tenant.path("/venues/import?format=pretix&city=Gent&country=BE&timezone=Europe/Brussels")
    venue = data(await tenant.admin.post(path, plan()), 201)
    assert (venue["name"], venue["city"], venue["timezone"]) == ("Small house", "Gent", "Europe/Brussels")
    assert (venue["capacity"], venue["plan_version"]) == (6, 1)
    seatmap = await seats_of(world, venue, tenant)
    assert (seatmap["width"], seatmap["height"], seatmap["plan_version"]) == (800, 600, 1)
    assert seatmap["categories"] == [{"name": "Stalls", "color": "#aa0000"}]
    fourth = {"number": 3, "label": "Stalls-B-1", "section": "Stalls", "row": "B", "seat": "1", "category": "Stalls"}
    assert seatmap["seats"][3] == {**fourth, "x": 100 + 5 + 20, "y": 200 + 30}
    stage = seatmap["areas"][0]
    assert (stage["position"], stage["text"], stage["shape"]) == ({"x": 110, "y": 110}, "Stage", "rectangle")


async def test_a_name_in_the_query_overrides_the_name_in_the_file(world: World) -> None:
    tenant = await world.tenant()
    venue = data(await tenant.admin.post(tenant.path("/venues/import?format=pretix&name=Elsewhere"), plan()), 201)
    assert venue["name"] == "Elsewhere"
    assert venue["timezone"] == "UTC"


def shape(name: str, **measures: Any) -> dict[str, Any]:
    caption = {"text": "Bar", "position": {"x": 1, "y": 2}, "color": "#fff", "size": 20}
    look = {"color": "#ddd", "border_color": "rgba(0, 0, 0, .5)", "rotation": 45.5, "uuid": "u"}
    return {"shape": name, "position": {"x": 1, "y": 2}, "text": caption, **look, **measures}


@pytest.mark.parametrize(
    "area",
    [
        shape("rectangle", rectangle={"width": 10, "height": 5}),
        shape("circle", circle={"radius": 10}),
        shape("ellipse", ellipse={"radius": {"x": 10, "y": 20}}),
        shape("polygon", polygon={"points": [{"x": 0, "y": 0}, {"x": 10.5, "y": 0}, {"x": 5, "y": 9}]}),
        shape("text"),
    ],
    ids=lambda area: area["shape"],
)
def test_every_shape_is_kept_at_its_position_in_the_plan(area: dict[str, Any]) -> None:
    zone = {"name": "Foyer", "position": {"x": 100, "y": 200}, "rows": [], "areas": [area]}
    kept = read(plan(zones=[zone])).areas[0]
    expected = {key: value for key, value in area.items() if key != "uuid"}
    assert kept == {**expected, "position": {"x": 101, "y": 202}}


def test_a_plan_without_a_size_is_as_large_as_its_content() -> None:
    document = plan()
    del document["size"]
    draft = read(document)
    assert (draft.width, draft.height) == (410, 230)


def test_optional_fields_of_zones_and_rows_may_be_missing() -> None:
    bare = {"row_number": "A", "seats": [seat(1)]}
    zones = [
        {"position": {"x": 7, "y": 0}, "rows": [bare]},
        {"zone_id": "z2", "position": {"x": 0, "y": 9}, "rows": []},
    ]
    draft = read(plan(zones=zones, categories=[{"name": "Stalls"}]))
    assert draft.labels == ["Zone 1-A-1"]
    assert draft.xs == [27]
    assert draft.categories[0]["color"].startswith("#")


def with_seat(**changes: Any) -> dict[str, Any]:
    return with_row(seats=[seat(1), {**seat(2, seat_guid="2"), **changes}])


def with_row(**changes: Any) -> dict[str, Any]:
    return with_zone(rows=[{**row("A", 1), **changes}])


def with_zone(**changes: Any) -> dict[str, Any]:
    return plan(zones=[{**plan()["zones"][0], **changes}])


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (with_seat(category="Gold"), "zones.0.rows.0.seats.1.category"),
        (with_seat(position=None), "zones.0.rows.0.seats.1.position"),
        (with_seat(position={"x": 1}), "zones.0.rows.0.seats.1.position.y"),
        (with_seat(position={"x": "1", "y": 2}), "zones.0.rows.0.seats.1.position.x"),
        (with_seat(position={"x": 1e300, "y": 2}), "zones.0.rows.0.seats.1.position.x"),
        (with_seat(seat_number="a\x00"), "zones.0.rows.0.seats.1.seat_number"),
        (with_seat(seat_number=1.5), "zones.0.rows.0.seats.1.seat_number"),
        (with_seat(seat_number=True), "zones.0.rows.0.seats.1.seat_number"),
        (with_seat(seat_number="\ud800"), "zones.0.rows.0.seats.1.seat_number"),
        (with_row(seats=7), "zones.0.rows.0.seats"),
        (with_row(seats=[seat(n, seat_guid=str(n)) for n in range(1001)]), "zones.0.rows.0.seats"),
        (with_zone(rows=[row(str(n), 1) for n in range(501)]), "zones.0.rows"),
        (with_zone(rows=None), "zones.0.rows"),
        (with_zone(position=None), "zones.0.position"),
        (with_zone(name="x" * 51), "zones.0.name"),
        (plan(zones=[{}] * 201), "zones"),
        (plan(zones={}), "zones"),
        (plan(zones=["Stalls"]), "zones.0"),
        (plan(categories=None), "categories"),
        (plan(categories=[{"name": "Stalls"}, {"name": "Stalls"}]), "categories.1.name"),
        (plan(name=""), "name"),
    ],
)
def test_an_invalid_plan_names_the_path(document: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(document)
    assert refused.value.field == field


async def test_a_refused_plan_creates_no_venue(world: World) -> None:
    tenant = await world.tenant()
    path = tenant.path("/venues/import?format=pretix")
    assert refusal(await tenant.admin.post(path, with_seat(category="Gold")), 422)["field"].endswith("category")
    assert refusal(await tenant.admin.post(path, [1, 2]), 422)["field"] == "body"
    assert refusal(await tenant.admin.post(path, content=b'"x"', headers={"Content-Type": "application/json"}), 422)
    assert data(await tenant.admin.get(tenant.path("/venues"))) == []


async def test_only_json_in_a_known_format_is_accepted(world: World) -> None:
    tenant = await world.tenant()
    path, bytes_ = tenant.path("/venues/import?format=pretix"), b"<plan/>"
    assert refusal(await tenant.admin.post(tenant.path("/venues/import?format=svg"), plan()), 422)["field"] == "format"
    assert refusal(await tenant.admin.post(tenant.path("/venues/import"), plan()), 422)["field"] == "format"
    bad_zone = tenant.path("/venues/import?format=pretix&timezone=Mars")
    assert refusal(await tenant.admin.post(bad_zone, plan()), 422)["field"] == "timezone"
    json = {"Content-Type": "application/json"}
    assert refusal(await tenant.admin.post(path, content=bytes_, headers=json), 400)["code"] == "malformed"
    xml = {"Content-Type": "application/xml"}
    assert refusal(await tenant.admin.post(path, content=bytes_, headers=xml), 415)["code"] == "unsupported_media_type"
