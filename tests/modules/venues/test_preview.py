"""A preview shows what an import would make of a file, and changes nothing."""

import json
from typing import Any

from tests.modules.venues.plans import plan, row, seat
from tests.modules.venues.test_venues import seats_of
from tests.support.world import World, data, refusal

PREVIEW = "/venues/import/preview?format=pretix"


def aisle() -> dict[str, Any]:
    """A plan with a warning, and with labels for its rows."""
    document = plan()
    document["zones"][0]["rows"].append(row("A", 2, position={"x": 400, "y": 0}, row_label="Reihe %s"))
    return document


async def test_a_preview_is_what_the_import_makes(world: World) -> None:
    tenant = await world.tenant()
    preview = data(await tenant.admin.post(tenant.path(PREVIEW), aisle()))
    assert (preview["name"], preview["capacity"]) == ("Small house", 8)
    assert preview["categories"] == [{"name": "Stalls", "color": "#aa0000", "seats": 8}]
    assert preview["sections"] == [{"name": "Stalls", "rows": 3, "seats": 8}]
    assert data(await tenant.admin.get(tenant.path("/venues"))) == []
    venue = data(await tenant.admin.post(tenant.path("/venues/import?format=pretix"), aisle()), 201)
    assert (venue["warnings"], venue["more_warnings"]) == (preview["warnings"], preview["more_warnings"])
    assert [warning["path"] for warning in venue["warnings"]] == ["zones.0.rows.2"]
    seatmap = await seats_of(world, venue, tenant)
    assert preview["layout"] == {**seatmap, "plan_version": None}
    assert seatmap["seats"][-1]["row_label"] == "Reihe A (2)"
    assert "row_label" not in seatmap["seats"][0]


async def test_a_preview_lists_all_faults_with_their_lines(world: World) -> None:
    tenant = await world.tenant()
    document = plan()
    document["zones"][0]["rows"].append({"row_number": "C", "seats": [seat(1, "Gold"), seat(2, "Silver")]})
    text = json.dumps(document, indent=1).encode()
    json_type = {"Content-Type": "application/json"}
    for path in (PREVIEW, "/venues/import?format=pretix"):
        error = refusal(await tenant.admin.post(tenant.path(path), content=text, headers=json_type), 422)
        assert error["field"] == "zones.0.rows.2.seats.0.category"
        assert len(error["faults"]) == 2
        assert error["more_faults"] == 0
        lines = [text.split(b"\n")[fault["line"] - 1] for fault in error["faults"]]
        assert [b"Gold" in lines[0], b"Silver" in lines[1]] == [True, True]


async def test_hostile_text_in_a_file_is_never_an_error_of_the_server(world: World) -> None:
    tenant = await world.tenant()
    json_type = {"Content-Type": "application/json"}
    surrogate_key = json.dumps(plan()).replace('"x": 20', '"\\ud800": 1, "\\ud800": 2, "x": 20', 1)
    for content in (surrogate_key.encode(), json.dumps(plan()).encode("utf-16")):
        answer = await tenant.admin.post(tenant.path(PREVIEW), content=content, headers=json_type)
        assert data(answer)["capacity"] == 6
    for content in (b'{"name": "K\xf6ln"}', b"\xff\xfe{", b"\x00", b"[1e999]", b'"x"', b"null"):
        answer = await tenant.admin.post(tenant.path(PREVIEW), content=content, headers=json_type)
        assert answer.status_code in (400, 422), answer.text


async def test_only_those_who_edit_venues_preview_plans(world: World) -> None:
    tenant, other = await world.tenant(), await world.tenant("other")
    scanner = await world.member(tenant, "ORG_SCANNER")
    assert refusal(await scanner.post(tenant.path(PREVIEW), plan()), 403)["code"] == "forbidden"
    assert refusal(await other.admin.post(tenant.path(PREVIEW), plan()), 404)["code"] == "not_found"
