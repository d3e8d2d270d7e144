"""Links of the OpenAPI document: what can be done next with the thing that a POST has just made.

They follow from the names that every path and body uses: the `data.id` of a 201 is the `{x_id}` that follows the POST's
own path, and the `x_id` of other bodies. So nobody writes them, and a new route has its own.

Source of the format: OpenAPI 3.1, Link Object and Runtime Expressions.
"""

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

_METHODS = ("get", "post", "put", "patch", "delete")
_PARAMETER = re.compile(r"{(\w+)}")
_MADE_ID = "$response.body#/data/id"

Document = dict[str, Any]
Operation = dict[str, Any]


def install(app: FastAPI) -> None:
    """Add the links to the document, once, when it is first asked for."""
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
        name = _name_of_made(document, path)
        if name and _makes_something(document, operation):
            operation["responses"]["201"]["links"] = dict(_links(document, path, operation["operationId"], name))


def _links(document: Document, path: str, source: str, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operation that takes the new id, and needs no id beside it that the POST did not have."""
    known = {each: f"$request.path.{each}" for each in _PARAMETER.findall(path)} | {name: _MADE_ID}
    for target_path, target in _operations(document):
        needed = _PARAMETER.findall(target_path)
        if target["operationId"] == source or not known.keys() >= set(needed):
            continue
        link: dict[str, Any] = {"operationId": target["operationId"], "parameters": {n: known[n] for n in needed}}
        if name in _fields(document, target):
            link["requestBody"] = {name: _MADE_ID}
        if name in needed or "requestBody" in link:
            yield target["operationId"], link


def _operations(document: Document) -> Iterator[tuple[str, Operation]]:
    for path, operations in document["paths"].items():
        yield from [(path, operations[method]) for method in _METHODS if method in operations]


def _name_of_made(document: Document, path: str) -> str | None:
    """What other paths call the thing that is made here: `/orgs` makes `org_id`."""
    for other in document["paths"]:
        if found := re.match(re.escape(path) + r"/{(\w+_id)}(?:/|$)", other):
            return found[1]
    return None


def _makes_something(document: Document, operation: Operation) -> bool:
    content = operation["responses"].get("201", {}).get("content", {}).get("application/json", {})
    envelope = _resolve(document, content.get("schema", {}))
    made = _resolve(document, envelope.get("properties", {}).get("data", {}))
    return "id" in made.get("properties", {})


def _fields(document: Document, operation: Operation) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return set(_resolve(document, content.get("schema", {})).get("properties", {}))


def _resolve(document: Document, schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else schema
