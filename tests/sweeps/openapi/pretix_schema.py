"""The schema of an imported seating plan, as far as the import reads it; the document only outlines it."""

from tests.sweeps.openapi.routes import Schema

IMPORT = "POST /orgs/{org_id}/venues/import"


def _object(required: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string", "minLength": 1}
#: Coordinates may be integers, floats or strings: programs differ in how they write them.
_POINT = _object("x y", x={}, y={})
_SEAT = _object(
    "seat_number position category",
    seat_guid={"anyOf": [{"type": "string"}, {"type": "null"}]},
    seat_number=_TEXT,
    position=_POINT,
    category=_TEXT,
)
_ROW = _object("row_number seats", row_number=_TEXT, position=_POINT, seats=_list(_SEAT))
_ZONE = _object("position rows", name={"anyOf": [_TEXT, {"type": "null"}]}, position=_POINT, rows=_list(_ROW))

PLAN_SCHEMA = _object(
    "name categories zones",
    name=_TEXT,
    categories=_list(_object("name", name=_TEXT)),
    zones=_list(_ZONE),
)
