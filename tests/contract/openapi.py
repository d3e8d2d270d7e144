"""The OpenAPI document without its prose: operations, parameters, bodies, responses and schemas, one line each."""

import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

_METHODS = ("get", "post", "put", "patch", "delete")
_PROSE = {"description", "summary", "title", "example", "examples"}
#: Keywords whose members are named by the API, so that a field called `title` is not taken for prose.
_NAMED = {"properties", "patternProperties", "$defs"}


def lines(document: Json) -> list[str]:
    """One line per promise, sorted."""
    found = [f"openapi {document['openapi']}", f"api version {document['info']['version']}"]
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                found += _operation(f"operation {method.upper()} {path}", operations[method])
    components = document["components"]
    inputs = _inputs(document)
    for name, schema in components["schemas"].items():
        found += _schema(f"{'input' if name in inputs else 'output'} {name}", schema)
    for name, scheme in components.get("securitySchemes", {}).items():
        found.append(f"security {name} {_text(scheme)}")
    return sorted(found)


def _operation(where: str, operation: Json) -> Iterator[str]:
    yield f"{where} id {operation['operationId']}"
    yield f"{where} tags {_text(operation.get('tags', []))}"
    yield f"{where} security {_text(operation.get('security', []))}"
    for parameter in operation.get("parameters", ()):
        name = f"{parameter['in']} {parameter['name']}"
        yield f"{where} parameter {name} {_need(parameter.get('required'))} {_text(parameter['schema'])}"
    if (body := operation.get("requestBody")) is not None:
        for media, content in body["content"].items():
            yield f"{where} body {media} {_need(body.get('required'))} {_text(content.get('schema', {}))}"
    for status, response in operation["responses"].items():
        yield f"{where} response {status}"
        for media, content in response.get("content", {}).items():
            yield f"{where} response {status} {media} {_text(content.get('schema', {}))}"
        for name, header in response.get("headers", {}).items():
            yield f"{where} response {status} header {name} {_text(header)}"
        for name, link in response.get("links", {}).items():
            yield f"{where} response {status} link {name} {_text(link)}"


def _schema(where: str, schema: Json) -> Iterator[str]:
    required = schema.get("required", ())
    rest = {name: value for name, value in schema.items() if name not in {"properties", "required", "enum"}}
    yield f"{where} {_text(rest)}"
    yield from (f"{where} value {_text(value)}" for value in schema.get("enum", ()))
    for name, field in schema.get("properties", {}).items():
        yield f"{where}.{name} {_need(name in required)} {_text(field)}"


def _need(is_required: bool | None) -> str:
    return "required" if is_required else "optional"


def _inputs(document: Json) -> set[str]:
    """Schemas that a client sends: reachable from a request body."""
    schemas: Json = document["components"]["schemas"]
    found: set[str] = set()
    waiting = [
        reference
        for operations in document["paths"].values()
        for operation in operations.values()
        if isinstance(operation, dict)
        for reference in _references(operation.get("requestBody", {}))
    ]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _references(schemas[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference.rpartition("/")[2]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _text(node: Any) -> str:
    """Canonical JSON with sorted keys and without prose."""
    return json.dumps(_without_prose(node), sort_keys=True, ensure_ascii=False)


def _without_prose(node: Any, *, is_named: bool = False) -> Any:
    if isinstance(node, dict):
        kept = {key: value for key, value in node.items() if is_named or key not in _PROSE}
        return {key: _without_prose(value, is_named=key in _NAMED and not is_named) for key, value in kept.items()}
    if isinstance(node, list):
        return [_without_prose(value) for value in node]
    return node
