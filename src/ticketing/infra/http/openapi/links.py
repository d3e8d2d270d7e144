"""Links of the OpenAPI document: the operations that accept the id of a resource that a POST has created.

Links are derived from the naming of paths and bodies: the `data.id` of a 201 is the `{x_id}` that follows the POST's
own path, and the `x_id` of other bodies. New routes get their links without further code.

Source of the format: OpenAPI 3.1, Link Object and Runtime Expressions.
"""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

_METHODS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"{(\w+)}")
_CREATED_ID = "$response.body#/data/id"

Document = dict[str, Any]
Operation = dict[str, Any]


def install(app: FastAPI) -> None:
    """Add the links to the document when it is first generated."""
    describe = app.openapi

    def describe_with_links() -> Document:
        is_new = app.openapi_schema is None
        document = describe()
        if is_new:
            _add_links(document)
        return document

    app.openapi = describe_with_links  # type: ignore[method-assign]


def _add_links(document: Document) -> None:
    for path, operation in list(_operations(document)):
        name = _created_parameter(document, path)
        if name and _creates_resource(document, operation):
            operation["responses"]["201"]["links"] = dict(_links(document, path, operation["operationId"], name))


def _links(document: Document, path: str, source: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation that takes the new id and no other id that the POST lacks."""
    known = {each: f"$request.path.{each}" for each in _PARAMETER.findall(path)} | {name: _CREATED_ID}
    for target_path, target in _operations(document):
        needed = _PARAMETER.findall(target_path)
        if target["operationId"] == source or not known.keys() >= set(needed):
            continue
        link: dict[str, Any] = {"operationId": target["operationId"], "parameters": {n: known[n] for n in needed}}
        if name in _fields(document, target):
            link["requestBody"] = {name: _CREATED_ID}
        if name in needed or "requestBody" in link:
            yield target["operationId"], link


def _operations(document: Document) -> Iterator[tuple[str, Operation]]:
    for path, operations in document["paths"].items():
        yield from [(path, operations[method]) for method in _METHODS if method in operations]


def _created_parameter(document: Document, path: str) -> str | None:
    """Return the path parameter of the resource created at `path`: `org_id` for `/orgs`."""
    for other in document["paths"]:
        if found := re.match(re.escape(path) + r"/{(\w+_id)}(?:/|$)", other):
            return found[1]
    return None


def _creates_resource(document: Document, operation: Operation) -> bool:
    content = operation["responses"].get("201", {}).get("content", {}).get("application/json", {})
    envelope = _resolve(document, content.get("schema", {}))
    created = _resolve(document, envelope.get("properties", {}).get("data", {}))
    return "id" in created.get("properties", {})


def _fields(document: Document, operation: Operation) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return set(_resolve(document, content.get("schema", {})).get("properties", {}))


def _resolve(document: Document, schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else schema
