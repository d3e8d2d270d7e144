"""The parts of a file in pretix's format, as they are written: names may be empty, and guids do not matter.

Source of the format: `seating-plan.schema.json` in pretix. Its positions are nested: a seat's is relative to its row,
and a row's to its zone. The imported positions are relative to the corner of the plan.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from ticketing.infra.http.characters import check_line, compose
from ticketing.infra.http.fields import Name
from ticketing.modules.venues.plans import ROWS_MAX, SEATS_PER_ROW_MAX, SECTIONS_MAX
from ticketing.modules.venues.pretix.areas import ORIGIN, Color, Extent, Part, Point

CATEGORIES_MAX = 200

#: Description of the request body in the OpenAPI document.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A seating plan in pretix's open JSON format: `name, size, categories, zones: [{name, position, "
    "rows: [{row_number, position, row_label, seat_label, seats: [{seat_guid, seat_number, position, category}]}], "
    "areas}]`, and optionally `focal_point: {x, y}`, what the audience looks at.",
    "required": ["name", "categories", "zones"],
}


def _as_text(value: object) -> object:
    """Composed text. Programs write an empty name as null, and a number as a number."""
    if value is None:
        return ""
    if isinstance(value, str):
        return compose(value)
    return str(value) if type(value) is int and abs(value) < 10**9 else value


def _check_name(name: str) -> str:
    return check_line(name) if name else name


#: A name that may be empty.
PlanName = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, max_length=50),
    AfterValidator(_check_name),
]
#: How something is called, with `%s` in place of its name.
Pattern = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, max_length=100),
    AfterValidator(_check_name),
]


class Category(Part):
    name: PlanName = ""
    color: Any = None


class Tint(Part):
    color: Color | None = None


class Size(Part):
    width: Extent
    height: Extent


class Frame(Part):
    """The top level of the file. Its parts are validated one at a time."""

    name: Name
    size: Any = None
    #: Not in pretix's editor: what the audience looks at. Without it, the best seats are those nearest to the stage.
    focal_point: Point | None = None
    categories: Annotated[list[Any], Field(max_length=CATEGORIES_MAX)]
    zones: Annotated[list[Any], Field(max_length=SECTIONS_MAX)]


class Zone(Part):
    name: PlanName = ""
    zone_id: PlanName = ""
    position: Point
    rows: Annotated[list[Any], Field(max_length=ROWS_MAX)]
    areas: Any = None


class Seat(Part):
    seat_number: PlanName = ""
    seat_label: Pattern = ""
    position: Point
    category: PlanName = ""


class Row(Part):
    row_number: PlanName = ""
    row_label: Pattern = ""
    seat_label: Pattern = ""
    position: Point = ORIGIN
    seats: Annotated[list[Seat], Field(max_length=SEATS_PER_ROW_MAX)]
