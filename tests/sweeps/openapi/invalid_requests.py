"""Invalid bodies with one mistake each, derived from the schema and a valid body."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.sweeps.openapi.routes import Schema, resolve

TOO_LONG = "x" * 10_001
HUGE_LIST = 10_001
#: A NUL, which Postgres refuses, and a lone surrogate, which no encoding accepts.
UNSTORABLE = ("a\0b", "\ud800")
OMITTED = object()

_TEXT = (12, 1.5, True, ["a"], {"a": "b"}, TOO_LONG, *UNSTORABLE)
_INTEGER: tuple[Any, ...] = ("many", "12", True, 1.5, [], {}, 10**30, -(10**30), -1, float("inf"), float("nan"))
_LIST = ("text", 12, {"a": "b"}, True)
_OBJECT: tuple[Any, ...] = ("text", 12, True, [])
_BY_FORMAT: dict[str, tuple[Any, ...]] = {
    "uuid": ("not-a-uuid", "00000000", ""),
    "email": ("no address", "a@b", "@example.com", "a@example.com\n", ""),
    "date-time": (
        "yesterday",
        "2030-06-01",
        "2030-06-01T19:00:00",
        "2030-13-01T00:00:00Z",
        "2030-06-01T25:00:00Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1893456000",
        "",
    ),
}


@dataclass(frozen=True)
class Mutation:
    """A body with one mistake, and the field that the error must name."""

    field: str
    wrong: Any
    body: Any

    @property
    def what(self) -> str:
        return "omitted" if self.wrong is OMITTED else f"{type(self.wrong).__name__} {self.wrong!r:.40}"


def mutate(schema: Schema, body: Any) -> Iterator[Mutation]:
    """All mutations of a valid body."""
    for path, part, required in _fields(schema, body, ()):
        for wrong in _wrong_values(part):
            yield _mutation(body, path, wrong)
        if required:
            yield _mutation(body, path, OMITTED)
    for path in _objects(schema, body, ()):
        for name in ("unknown_field", "\ud800"):
            yield _mutation(body, (*path, name), "anything")


def _fields(schema: Schema, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Schema, bool]]:
    """All fields of the body at any depth: path, schema, and whether it is required."""
    schema = _branch(schema, value)
    for name, part in schema.get("properties", {}).items():
        yield (*path, name), part, name in schema.get("required", [])
        if isinstance(value, dict) and name in value:
            yield from _fields(part, value[name], (*path, name))
    if isinstance(value, list) and value:
        yield (*path, 0), schema.get("items", {}), False
        yield from _fields(schema.get("items", {}), value[0], (*path, 0))


def _objects(schema: Schema, value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    schema = _branch(schema, value)
    if isinstance(value, dict) and schema.get("additionalProperties") is False:
        yield path
    children = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for name, item in children:
        part = schema.get("items", {}) if isinstance(name, int) else schema.get("properties", {}).get(name, {})
        yield from _objects(part, item, (*path, name))


def _branch(schema: Schema, value: Any) -> Schema:
    """The schema without its null alternative."""
    schema = resolve(schema)
    branches = [resolve(branch) for branch in schema.get("anyOf", [])]
    return next((branch for branch in branches if branch.get("type") != "null"), schema)


def _wrong_values(schema: Schema) -> Iterator[Any]:
    is_nullable = any(resolve(branch).get("type") == "null" for branch in resolve(schema).get("anyOf", []))
    if not is_nullable and schema:
        yield None
    part = _branch(schema, None)
    match part.get("type"):
        case "string":
            yield from _TEXT
            yield from _BY_FORMAT.get(part.get("format", ""), ())
            if part.get("minLength") or part.get("enum") or part.get("pattern"):
                yield ""
            if part.get("enum"):
                yield "SUPER_ADMIN"
        case "integer":
            yield from _INTEGER
            yield from [part[limit] + step for limit, step in (("minimum", -1), ("maximum", 1)) if limit in part]
        case "array":
            yield from _LIST
            yield [_sample(part.get("items", {}), n) for n in range(HUGE_LIST)]
            if part.get("minItems"):
                yield []
        case "object":
            yield from _OBJECT


def _sample(schema: Schema, number: int) -> Any:
    """A value of the right type, different for each number."""
    part = _branch(schema, None)
    if part.get("type") == "object":
        return {name: _sample(each, number) for name, each in part["properties"].items()}
    if part.get("format") == "uuid":
        return f"00000000-0000-7000-8000-{number:012}"
    return f"A-{number}" if part.get("type") == "string" else 1


def _mutation(body: Any, path: tuple[Any, ...], wrong: Any) -> Mutation:
    changed = copy.deepcopy(body)
    place = changed
    for name in path[:-1]:
        place = place[name]
    if wrong is OMITTED:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = wrong
    return Mutation(".".join(map(str, path)), wrong, changed)
