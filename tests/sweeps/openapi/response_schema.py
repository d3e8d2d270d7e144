"""Checks responses against the OpenAPI document, with the parts of JSON Schema that it uses."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from tests.sweeps.openapi.routes import Schema, resolve

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


def schema_errors(schema: Schema, value: Any, path: str = "") -> list[str]:
    """All violations of the schema with their paths."""
    return list(_schema_errors(resolve(schema), value, path))


def _schema_errors(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if "anyOf" in schema:
        violations = [schema_errors(branch, value, path) for branch in schema["anyOf"]]
        if all(violations):
            yield from min(violations, key=len)
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path or 'body'} is {value!r} and not {kind}"
    elif isinstance(value, dict):
        yield from _in_object(schema, value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from schema_errors(schema.get("items", {}), item, f"{path}.{index}")
    elif isinstance(value, str):
        yield from _in_text(schema, value, path)


def _in_object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, item in value.items():
        if name in known:
            yield from schema_errors(known[name], item, f"{path}.{name}")
        elif isinstance(more := schema.get("additionalProperties"), dict):
            yield from schema_errors(more, item, f"{path}.{name}")
        elif known and more is not True:
            yield f"{path}.{name} is not in the document"


def _in_text(schema: Schema, value: str, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is {value!r} and none of {schema['enum']}"
    if schema.get("format") == "uuid" and str(UUID(value)) != value:
        yield f"{path} is {value!r} and no id"
    if schema.get("format") == "date-time" or path.endswith("_at"):
        is_utc = value.endswith("Z") and datetime.fromisoformat(value).utcoffset() is not None
        if not is_utc:
            yield f"{path} is {value!r} and no time in UTC"
