"""Import of seating plans in pretix's open JSON format: zones become sections, and all positions are kept.

Source of the format: `seating-plan.schema.json` in pretix. Its positions are nested: a seat's is relative to its row,
and a row's to its zone. The imported positions are relative to the corner of the plan. Rows are validated one at a
time: validating a stadium's plan in one call would keep the GIL, and would block the event loop even from a thread.
"""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AliasChoices, Field, StringConstraints, ValidationError

from ticketing.infra.errors import BadRequest, Invalid
from ticketing.infra.http.fields import Name, ShortName
from ticketing.modules.venues.plans import (
    ROWS_MAX,
    SEATS_MAX,
    SEATS_PER_ROW_MAX,
    SECTIONS_MAX,
    Draft,
    refuse_duplicate,
    refuse_too_many,
)
from ticketing.modules.venues.pretix_areas import ORIGIN, Area, Color, Extent, Part, Point

CATEGORIES_MAX = 200
AREAS_MAX = 1_000
#: Files parsed at a time in a process.
PARSING_MAX = 2

_parsing = asyncio.Semaphore(PARSING_MAX)

#: Description of the request body in the OpenAPI document.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A seating plan in pretix's open JSON format: `name, size, categories, zones: [{name, position, "
    "rows: [{row_number, position, seats: [{seat_guid, seat_number, position, category}]}], areas}]`, and optionally "
    "`focal_point: {x, y}`, what the audience looks at.",
    "required": ["name", "categories", "zones"],
}

PartType = TypeVar("PartType", bound=Part)


class Category(Part):
    name: ShortName
    color: Color | None = None


class Size(Part):
    width: Extent
    height: Extent


class Frame(Part):
    """The top level of the file. Zones are validated one at a time."""

    name: Name
    size: Size | None = None
    #: Not in pretix's editor: what the audience looks at. Without it, the best seats are those nearest to the stage.
    focal_point: Point | None = None
    categories: Annotated[list[Category], Field(max_length=CATEGORIES_MAX)]
    zones: Annotated[list[Any], Field(max_length=SECTIONS_MAX)]


class Zone(Part):
    name: Annotated[ShortName | None, Field(validation_alias=AliasChoices("name", "zone_id"))] = None
    position: Point
    rows: Annotated[list[Any], Field(max_length=ROWS_MAX)]
    areas: Annotated[list[Area], Field(max_length=AREAS_MAX, default_factory=list)]


class Seat(Part):
    seat_guid: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,200}$")] | None = None
    seat_number: ShortName
    position: Point
    category: ShortName


class Row(Part):
    row_number: ShortName
    position: Point = ORIGIN
    seats: Annotated[list[Seat], Field(max_length=SEATS_PER_ROW_MAX)]


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan with the name in its file."""

    name: str
    draft: Draft


async def parse_plan(file: bytes) -> Plan:
    """Parse a file in a thread, PARSING_MAX at a time: a stadium takes seconds, and many times its size in memory.

    Raises what `read_plan` raises.
    """
    async with _parsing:
        return await asyncio.to_thread(read_plan, file)


def read_plan(file: bytes) -> Plan:
    """Parse and validate a file. Slow for a stadium: call it in a thread.

    Raises:
        BadRequest: the file is not JSON.
        Invalid: its field is the path of the first error, such as `zones.0.rows.3.seats.7.category`.
    """
    try:
        document = orjson.loads(file)
    except orjson.JSONDecodeError:
        raise BadRequest("The request body is not valid JSON.") from None
    frame = _check(Frame, document, "")
    draft, guids = Draft(), set[str]()
    draft.focal_point = frame.focal_point.model_dump() if frame.focal_point else None
    for index, category in enumerate(frame.categories):
        refuse_duplicate(category.name, {c["name"] for c in draft.categories}, f"categories.{index}.name")
        draft.add_category(category.name, category.color)
    known = {category.name for category in frame.categories}
    for index, zone in enumerate(frame.zones):
        _read_zone(draft, _check(Zone, zone, f"zones.{index}"), f"zones.{index}", f"Zone {index + 1}", known, guids)
    _measure(draft, frame.size)
    return Plan(frame.name, draft)


def _read_zone(draft: Draft, zone: Zone, path: str, name: str, known: set[str], guids: set[str]) -> None:
    for index, raw in enumerate(zone.rows):
        row_path = f"{path}.rows.{index}"
        row = _check(Row, raw, row_path)
        refuse_too_many(f"{row_path}.seats", draft.capacity + len(row.seats), SEATS_MAX, "seats up to here")
        corner = zone.position + row.position
        for place, seat in enumerate(row.seats):
            seat_path = f"{row_path}.seats.{place}"
            _check_seat(seat, seat_path, known, guids)
            x, y = corner.x + seat.position.x, corner.y + seat.position.y
            path_of_label = f"{seat_path}.seat_number"
            draft.add_seat(zone.name or name, row.row_number, seat.seat_number, seat.category, x, y, path_of_label)
    for area in zone.areas:
        draft.areas.append(area.placed(zone.position))
        reach = area.reach(zone.position)
        draft.width, draft.height = max(draft.width, reach.x), max(draft.height, reach.y)


def _check_seat(seat: Seat, path: str, known: set[str], guids: set[str]) -> None:
    if seat.category not in known:
        raise Invalid("There is no category of this name in `categories`.", field=f"{path}.category")
    if seat.seat_guid is not None:
        refuse_duplicate(seat.seat_guid, guids, f"{path}.seat_guid")
        guids.add(seat.seat_guid)


def _measure(draft: Draft, size: Size | None) -> None:
    """Set the size given in the file, or else the size that the seats and areas need."""
    if size is not None:
        draft.width, draft.height = size.width, size.height
    else:
        draft.width = max([draft.width, *draft.xs])
        draft.height = max([draft.height, *draft.ys])


def _check(model: type[PartType], raw: Any, path: str) -> PartType:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join([path, *(str(part) for part in first["loc"] if not _is_branch(part))]).strip(".")
        raise Invalid(str(first["msg"]).removeprefix("Value error, "), field=where or "body") from None


def _is_branch(part: str | int) -> bool:
    """Whether pydantic inserted this part into the path of an error: the name of a branch of a union of types."""
    return part in ("Caption", "str") or not str(part).replace("_", "").isalnum()
