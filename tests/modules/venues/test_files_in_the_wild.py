"""Plans as programs write them are read as they are meant, with a warning for each place that was changed."""

import codecs
import json
from typing import Any

import pytest

from tests.modules.venues.plans import plan, row, seat
from ticketing.infra.errors import BadRequest, Invalid
from ticketing.modules.venues.pretix import Plan, read_plan


def read(document: Any) -> Plan:
    return read_plan(json.dumps(document).encode())


def with_rows(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return plan(zones=[{"name": "Stalls", "position": {"x": 0, "y": 0}, "rows": list(rows), **changes}])


def at(x: int, *numbers: int, name: str = "A", y: int = 0) -> dict[str, Any]:
    """A row of this name whose position is (x, y)."""
    return {"row_number": name, "position": {"x": x, "y": y}, "seats": [seat(number) for number in numbers]}


def warned(read: Plan) -> list[str]:
    return [warning["path"] for warning in read.warnings]


def test_rows_that_an_aisle_divides_are_told_apart_from_left_to_right() -> None:
    read_ = read(with_rows(at(900, 1, 2), at(0, 1, 2), at(400, 1, 2)))
    assert read_.draft.labels == [
        *("Stalls-A (3)-1", "Stalls-A (3)-2"),
        *("Stalls-A-1", "Stalls-A-2"),
        *("Stalls-A (2)-1", "Stalls-A (2)-2"),
    ]
    assert warned(read_) == ["zones.0.rows.2", "zones.0.rows.0"]


def test_the_order_of_the_file_does_not_change_the_labels() -> None:
    rows = [at(0, 1, 2), at(300, 1, 2, 3), at(300, 1, 2, y=50), at(0, 3, 4, y=50)]
    labelled = [
        dict(zip(zip(d.xs, d.ys, strict=True), d.labels, strict=True))
        for d in (read(with_rows(*order)).draft for order in (rows, rows[::-1]))
    ]
    assert labelled[0] == labelled[1]
    assert len(set(labelled[0].values())) == 9


def test_rows_whose_seats_differ_stay_one_row() -> None:
    read_ = read(with_rows(at(0, 1, 3), at(300, 2, 4)))
    assert read_.draft.rows == ["A"] * 4
    assert not read_.warnings


def test_a_name_given_to_a_double_is_one_that_no_other_row_has() -> None:
    taken = at(0, 1, name="A (2)")
    draft = read(with_rows(at(0, 1), at(50, 1), at(90, 1), taken)).draft
    assert draft.rows == ["A", "A (3)", "A (4)", "A (2)"]


def test_zones_of_one_name_are_one_section() -> None:
    zones = [{"name": "Hall", "position": {"x": x, "y": 0}, "rows": [at(0, 1, 2)]} for x in (500, 0)]
    assert read(plan(zones=zones)).draft.labels == ["Hall-A (2)-1", "Hall-A (2)-2", "Hall-A-1", "Hall-A-2"]


def test_a_seat_that_a_row_has_twice_is_numbered() -> None:
    seats = [seat(2, seat_number="1"), seat(1, seat_number="1"), seat(3, seat_number="1 (2)")]
    read_ = read(with_rows({"row_number": "A", "seats": seats}))
    assert read_.draft.seats == ["1 (3)", "1", "1 (2)"]
    assert warned(read_) == ["zones.0.rows.0"]


def test_different_names_that_make_one_label_are_told_apart() -> None:
    zones = [
        {"name": "A-B", "position": {"x": 0, "y": 0}, "rows": [at(0, 1, name="1")]},
        {"name": "A", "position": {"x": 0, "y": 90}, "rows": [at(0, 1, name="B-1")]},
    ]
    assert read(plan(zones=zones)).draft.labels == ["A-B-1-1", "A-B-1-1 (2)"]


def test_repeated_and_malformed_guids_do_not_matter() -> None:
    seats = [seat(1, seat_guid="x"), seat(2, seat_guid="x"), seat(3, seat_guid=7), seat(4, seat_guid="\x00" * 900)]
    read_ = read(with_rows({"row_number": "A", "seats": seats}))
    assert (read_.draft.capacity, read_.warnings) == (4, [])


@pytest.mark.parametrize("empty", ["", None, "   "])
def test_empty_names_get_defaults_that_no_other_has(empty: str | None) -> None:
    seats = [seat(1, seat_number=empty), seat(2, seat_number="2"), seat(3, seat_number=empty)]
    rows = [at(0, 1, name="2"), {"row_number": empty, "position": {"x": 0, "y": 30}, "seats": seats}, row("B", 1)]
    zone = {"name": empty, "position": {"x": 0, "y": 0}, "rows": rows}
    read_ = read(plan(zones=[zone]))
    assert read_.draft.labels == ["Zone 1-2-1", "Zone 1-3-1", "Zone 1-3-2", "Zone 1-3-3", "Zone 1-B-1"]
    assert set(warned(read_)) == {"zones.0", "zones.0.rows.1"}


def test_a_number_is_a_name() -> None:
    draft = read(with_rows({"row_number": 7, "seats": [seat(1, seat_number=12)]})).draft
    assert draft.labels == ["Stalls-7-12"]


@pytest.mark.parametrize("changes", [{"category": ""}, {"category": None}, {}])
def test_seats_without_a_category_are_never_in_one_with_a_name(changes: dict[str, Any]) -> None:
    bare = {key: value for key, value in seat(2).items() if key != "category"} | changes
    document = with_rows({"row_number": "A", "seats": [seat(1, "Standard"), bare]})
    read_ = read({**document, "categories": [{"name": "Standard", "color": "red"}]})
    assert read_.draft.seat_categories == ["Standard", "Standard (2)"]
    assert [category["name"] for category in read_.draft.categories] == ["Standard", "Standard (2)"]
    assert warned(read_) == ["zones.0.rows.0.seats.1"]


def test_a_category_without_a_name_is_the_one_of_seats_without_a_category() -> None:
    document = with_rows({"row_number": "A", "seats": [seat(1, "")]})
    read_ = read({**document, "categories": [{"name": "", "color": "#123456"}]})
    assert read_.draft.categories == [{"name": "Standard", "color": "#123456"}]
    assert read_.draft.seat_categories == ["Standard"]


AREA = {"position": {"x": 0, "y": 0}, "width": 1, "height": 1}


@pytest.mark.parametrize(
    "area",
    [
        {**AREA, "shape": "star"},
        {**AREA, "shape": "circle"},
        {**AREA, "width": -1},
        {**AREA, "color": "red;} body{"},
        {**AREA, "rotation": "quarter"},
        {"shape": "text", "text": {"position": {"x": 0, "y": 0}}},
        {"shape": "polygon", "polygon": {"points": [{"x": 1, "y": 1}]}},
        {"shape": "circle", "circle": {"radius": float("inf")}},
        "stage",
        None,
    ],
)
def test_a_shape_that_cannot_be_drawn_is_left_out(area: Any) -> None:
    read_ = read(with_rows(at(0, 1), areas=[area, AREA]))
    assert len(read_.draft.areas) == 1
    assert warned(read_) == ["zones.0.areas.0"]


@pytest.mark.parametrize("areas", [7, {}, "none", [AREA] * 1_001])
def test_a_broken_list_of_shapes_is_left_out(areas: Any) -> None:
    read_ = read(with_rows(at(0, 1), areas=areas))
    assert read_.draft.capacity == 1
    assert len(read_.draft.areas) == (1_000 if isinstance(areas, list) else 0)
    assert len(read_.warnings) == 1


@pytest.mark.parametrize("changes", [{"size": {"width": -1, "height": 5}}, {"size": "large"}])
def test_a_size_that_is_none_is_measured(changes: dict[str, Any]) -> None:
    read_ = read({**with_rows(at(0, 1)), **changes})
    assert (read_.draft.width, warned(read_)) == (20, ["size"])


def test_a_color_that_is_none_is_replaced() -> None:
    read_ = read({**with_rows(at(0, 1)), "categories": [{"name": "Stalls", "color": "url(x);"}]})
    assert read_.draft.categories[0]["color"].startswith("#")
    assert warned(read_) == ["categories.0"]


def test_labels_are_how_rows_and_seats_are_called() -> None:
    first = {**at(0, 1, 2), "row_label": "Reihe %s", "seat_label": "Platz %s"}
    first["seats"][1]["seat_label"] = "Rollstuhl"
    draft = read(with_rows(first, {**at(300, 1), "row_label": ""})).draft
    assert draft.labels == ["Stalls-A-1", "Stalls-A-2", "Stalls-A (2)-1"]
    assert draft.row_labels == ["Reihe A", "Reihe A", None]
    assert draft.seat_labels == ["Platz 1", "Rollstuhl", None]


@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("utf-32"),
    ],
)
def test_a_byte_order_mark_and_every_unicode_encoding_are_read(encoded: Any) -> None:
    document = {**with_rows(at(0, 1, name="Ä")), "name": "Schauspielhaus Köln"}
    assert read_plan(encoded(json.dumps(document, ensure_ascii=False))).draft.labels == ["Stalls-Ä-1"]


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        ('{\n "name": "Köln"}'.encode("latin-1"), 2, 12),
        (b'{\n "name": oops}', 2, 10),
        (b'{"name": "x"', 1, 13),
        (b"{'name': 1}", 1, 2),
        (codecs.BOM_UTF16_LE + b'{"', 1, 1),
    ],
)
def test_a_file_that_is_not_json_is_told_where(content: bytes, line: int, column: int) -> None:
    with pytest.raises(BadRequest) as refused:
        read_plan(content)
    assert refused.value.details == {"line": line, "column": column}
    assert f"line {line}, column {column}" in refused.value.message


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \n", b"[" * 100_000, b"9" * 5_000, b'{"a":' * 100_000])
def test_a_file_that_cannot_be_parsed_is_refused(content: bytes) -> None:
    with pytest.raises(BadRequest):
        read_plan(content)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 400, "1000001", "true"]
)
@pytest.mark.parametrize("place", ["seat", "row", "zone"])
def test_a_coordinate_that_no_plan_has_is_a_fault_where_it_stands(number: str, place: str) -> None:
    found = {"seat": 30, "row": 5, "zone": 100}[place]
    text = json.dumps(plan()).replace(f'"x": {found}' if place != "seat" else '"x": 20', f'"x": {number}', 1)
    with pytest.raises(Invalid) as refused:
        read_plan(text.encode())
    paths = {
        "seat": "zones.0.rows.0.seats.0.position.x",
        "row": "zones.0.rows.0.position.x",
        "zone": "zones.0.position.x",
    }
    assert refused.value.field == paths[place]


def test_a_key_that_an_object_has_twice_is_a_warning() -> None:
    text = json.dumps(plan()).replace('"seat_number": "2"', '"seat_number": "1", "seat_number": "2"', 1)
    read_ = read_plan(text.encode())
    assert read_.draft.labels[1] == "Stalls-A-2"
    assert warned(read_) == ["zones.0.rows.0.seats.1.seat_number"]


def test_all_faults_are_told_at_once_each_with_its_place() -> None:
    document = plan()
    document["categories"].append({"name": "x" * 51})
    document["zones"][0]["rows"][0]["seats"][1] |= {"position": {"x": "left"}, "category": "Gold"}
    document["zones"][0]["rows"][1]["seats"][2] |= {"category": "Gold"}
    document["zones"].append({"name": "Circle"})
    with pytest.raises(Invalid) as refused:
        read_plan(json.dumps(document, indent=1).encode())
    faults = refused.value.details["faults"]
    assert sorted(fault["pointer"] for fault in faults) == [
        "/categories/1/name",
        "/zones/0/rows/0/seats/1/category",
        "/zones/0/rows/0/seats/1/position/x",
        "/zones/0/rows/0/seats/1/position/y",
        "/zones/0/rows/1/seats/2/category",
        "/zones/1/position",
        "/zones/1/rows",
    ]
    lines = json.dumps(document, indent=1).split("\n")
    by_pointer = {fault["pointer"]: fault for fault in faults}
    assert "left" in lines[by_pointer["/zones/0/rows/0/seats/1/position/x"]["line"] - 1]
    assert '"category": "Gold"' in lines[by_pointer["/zones/0/rows/1/seats/2/category"]["line"] - 1]
    # A missing key is shown where its object begins.
    missing = by_pointer["/zones/0/rows/0/seats/1/position/y"]
    assert lines[missing["line"] - 1][missing["column"] - 1 :].startswith("{")
    assert refused.value.field == faults[0]["path"]


@pytest.mark.parametrize("name", [["Stalls"], {"en": "Stalls"}, True])
def test_a_name_that_is_no_text_is_a_fault_beside_a_category_without_a_name(name: Any) -> None:
    with pytest.raises(Invalid) as raised:
        read(plan(categories=[{}, {"name": name}]))
    assert raised.value.details["faults"][0]["path"] == "categories.1.name"


def test_the_first_hundred_faults_are_listed_and_the_rest_is_counted() -> None:
    seats = [seat(n, "Gold") for n in range(250)]
    with pytest.raises(Invalid) as refused:
        read(with_rows({"row_number": "A", "seats": seats}))
    assert len(refused.value.details["faults"]) == 100
    assert refused.value.details["more_faults"] == 150
    assert "250 faults" in refused.value.message
