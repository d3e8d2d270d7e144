"""The schema of an imported seating plan, as far as the import reads it; the document only outlines it."""

from tests.sweeps.openapi.routes import Schema

IMPORTS = (
    "POST /orgs/{org_id}/venues/import",
    "POST /orgs/{org_id}/venues/import/preview",
    "POST /orgs/{org_id}/venues/{venue_id}/plans/import",
)


def _object(required: str, /, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_TEXT: Schema = {"type": "string", "minLength": 1}
#: Coordinates may be integers, floats or strings: programs differ in how they write them.
_POINT = _object("x y", x={}, y={})
#: Programs leave names empty, or write numbers.
_PLAN_NAME: Schema = {}
_SEAT = _object("position", seat_number=_PLAN_NAME, position=_POINT, category=_PLAN_NAME)
_ROW = _object("seats", row_number=_PLAN_NAME, position=_POINT, seats=_list(_SEAT))
_ZONE = _object("position rows", name=_PLAN_NAME, position=_POINT, rows=_list(_ROW))

PLAN_SCHEMA = _object(
    "name categories zones",
    name=_TEXT,
    categories=_list(_object("", name=_PLAN_NAME)),
    zones=_list(_ZONE),
)
