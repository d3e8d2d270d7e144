"""Does an answer look as the OpenAPI document says? As much of JSON Schema as our document uses."""

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


def faults(schema: Schema, value: Any, path: str = "") -> list[str]:
    """Everything that is not as the schema says, each with its path; none when all is well."""
    return list(_faults(resolve(schema), value, path))


def _faults(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if "anyOf" in schema:
        tries = [faults(branch, value, path) for branch in schema["anyOf"]]
        if all(tries):
            yield from min(tries, key=len)
        return
    kind = schema.get("type")
    if kind and (not isinstance(value, _KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{path or 'body'} is {value!r} and not {kind}"
    elif isinstance(value, dict):
        yield from _in_object(schema, value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(schema.get("items", {}), item, f"{path}.{index}")
    elif isinstance(value, str):
        yield from _in_text(schema, value, path)


def _in_object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{path}.{name} is missing"
    for name, item in value.items():
        if name in known:
            yield from faults(known[name], item, f"{path}.{name}")
        elif isinstance(more := schema.get("additionalProperties"), dict):
            yield from faults(more, item, f"{path}.{name}")
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
