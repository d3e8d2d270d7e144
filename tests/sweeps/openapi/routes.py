"""The routes of the OpenAPI document, so that new routes are swept automatically."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest

from tests.support.world import API
from ticketing.infra.config import get_settings
from ticketing.main import create_app

Schema = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
WEBHOOK = "POST /payments/webhooks/{provider}"
#: It always has a next cursor, to wait for new messages. Tested in tests/modules/webhooks.
FEED = "GET /orgs/{org_id}/feed"
STREAM = "GET /events/{event_id}/stream"


@dataclass(frozen=True)
class Route:
    """An operation of the document, named as in the contract: `POST /orgs/{org_id}/members`."""

    name: str
    operation: dict[str, Any]

    @property
    def method(self) -> str:
        return self.name.split()[0]

    @property
    def path(self) -> str:
        """The full path template."""
        path = self.name.split()[1]
        return path if is_at_root(path) else API + path

    @property
    def is_list(self) -> bool:
        return "cursor" in self.parameters("query")

    @property
    def body(self) -> Schema | None:
        """The schema of the JSON body, resolved at the outermost level."""
        content = self.operation.get("requestBody", {}).get("content", {})
        return resolve(content["application/json"]["schema"]) if content else None

    @property
    def success_statuses(self) -> set[int]:
        return {int(code) for code in self.operation["responses"] if code.startswith("2")}

    def parameters(self, place: str) -> dict[str, Schema]:
        """The schemas of the parameters in "path", "query" or "header", by name."""
        return {p["name"]: p["schema"] for p in self.operation.get("parameters", []) if p["in"] == place}

    def required(self, place: str) -> set[str]:
        return {p["name"] for p in self.operation.get("parameters", []) if p["in"] == place and p.get("required")}

    def response_schema(self, status: int) -> Schema | None:
        """The schema of the JSON response; None if the response is not JSON."""
        content = self.operation["responses"][str(status)].get("content", {})
        schema: Schema = content.get("application/json", {}).get("schema", {})
        return schema or None


def is_at_root(path: str) -> bool:
    """Whether the path is outside of the versioned API: operations and well-known files."""
    return path.startswith(("/health", "/metrics", "/.well-known"))


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    return create_app(get_settings()).openapi()


@lru_cache(maxsize=1)
def all_routes() -> dict[str, Route]:
    """All routes of the document by name."""
    found = {}
    for path, operations in document()["paths"].items():
        for method in METHODS:
            if method in operations:
                name = f"{method.upper()} {path.removeprefix(API)}"
                found[name] = Route(name, operations[method])
    return found


def each_route(selects: Callable[[Route], object] = lambda route: True) -> pytest.MarkDecorator:
    """Run a test for each selected route."""
    chosen = [pytest.param(route, id=name) for name, route in all_routes().items() if selects(route)]
    return pytest.mark.parametrize("route", chosen)


def resolve(schema: Schema) -> Schema:
    """Follow a reference into the document's components."""
    while "$ref" in schema:
        schema = document()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


def takes_an_id(schema: Schema) -> bool:
    """Whether the schema is an id or a list of ids."""
    schema = resolve(schema)
    parts = [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]
    return schema.get("format") == "uuid" or any(takes_an_id(part) for part in parts)


def id_fields(schema: Schema) -> Iterator[str]:
    """The names of the fields of a body that take ids, at any depth."""
    schema = resolve(schema)
    for name, part in schema.get("properties", {}).items():
        if takes_an_id(part):
            yield name
        yield from id_fields(part)
    for part in [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        yield from id_fields(part)
