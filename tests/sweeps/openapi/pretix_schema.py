"""What an imported seating plan has to look like, as far as the import looks; the document gives only its outline."""

from tests.sweeps.openapi.routes import Schema

IMPORT = "POST /orgs/{org_id}/venues/import"


def _object(required: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string", "minLength": 1}
#: Whole or not, and also in quotes: programs differ in how they write a coordinate.
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
