"""An invalid path, query or header: 4xx, the parameter is named, nothing leaks, and nothing changes."""

from collections.abc import Iterator
from dataclasses import replace

import httpx2
from fastapi import FastAPI

from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import build_call, examples_of, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.refusals import LEGAL, check
from tests.sweeps.openapi.routes import STREAM, Route, Schema, each_route

#: Longer than any parameter may be, and short enough that the URL itself is accepted (414).
LONG = "x" * 5000


@each_route(lambda route: route.parameters("path"))
async def test_a_malformed_id_is_refused(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    found: list[str] = []
    before = await read_state(app)
    for name, schema in route.parameters("path").items():
        for wrong in (
            "not-a-uuid",
            "1",
            "%00",
            "a%00b",
            "%ff%fe",
            "%F0%9F%8E%AB",
            "x" * 2000,
            "..%2f..",
            "'%20or%201=1",
        ):
            response = await send(client, call, path=route.path.format_map({**call.ids, name: wrong}))
            is_id = schema.get("format") == "uuid" and response.status_code == 422
            found += check(response, f"{name}={wrong}", name if is_id else None)
    assert not found, "\n".join(found)
    assert changed_tables(before, await read_state(app)) == []


#: Invalid values of query parameters, by type.
WRONG_QUERY: dict[str, tuple[str, ...]] = {
    "boolean": ("", "perhaps", "2", "nul\0"),
    "integer": ("abc", "-1", "0", "1.5", "", str(10**30), "1e3", "\0"),
    "uuid": ("not-a-uuid", "1", "\0"),
    "date-time": ("yesterday", "2030-06-01T19:00:00", "1893456000", "\0"),
    "enum": ("nothing", "\0"),
    "string": (LONG, "a\0b", "\0"),
}
WRONG_CURSORS = (
    "garbage",
    "!!!!",
    "bnVsbA",
    "W10",
    "WzFd",
    "WyJ4Il0",
    "e30",
    "W251bGxd",
    "WyJ4IiwieSIsInoiXQ",
    LONG,
)


@each_route(lambda route: route.parameters("query"))
async def test_an_invalid_query_parameter_is_named(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    found: list[str] = []
    before = await read_state(app)
    for name, schema in route.parameters("query").items():
        for wrong in _wrong_queries(name, schema):
            response = await send(client, replace(call, query={**call.query, name: wrong}))
            if LEGAL.get((route.name, name, wrong)) == response.status_code:
                continue
            found += check(response, f"{name}={wrong!r:.40}", name)
        if name in route.required("query"):
            fewer = {key: value for key, value in call.query.items() if key != name}
            found += check(await send(client, replace(call, query=fewer)), f"no {name}", name)
    assert not found, "\n".join(found)
    assert changed_tables(before, await read_state(app)) == []


def _wrong_queries(name: str, schema: Schema) -> Iterator[str]:
    if name == "cursor":
        yield from (*WRONG_CURSORS, "\0")
        return
    branch = next((b for b in schema.get("anyOf", []) if b.get("type") != "null"), schema)
    is_choice = "enum" in branch or "$ref" in branch or "const" in branch
    kind = "enum" if is_choice else branch.get("format", branch["type"])
    yield from WRONG_QUERY[kind]
    if "maximum" in branch:
        yield str(int(branch["maximum"]) + 1)


@each_route(lambda route: "idempotency-key" in route.parameters("header"))
async def test_an_invalid_idempotency_key_is_named(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    found: list[str] = []
    before = await read_state(app)
    for wrong in ("x" * 256, "tab\there"):
        response = await send(client, call, headers={"Idempotency-Key": wrong})
        found += check(response, repr(wrong), "Idempotency-Key")
    assert not found, "\n".join(found)
    assert changed_tables(before, await read_state(app)) == []


@each_route(lambda route: {"if-none-match"} & route.parameters("header").keys() and route.name != STREAM)
async def test_an_unusual_header_is_accepted(client: httpx2.AsyncClient, tenant: FullTenant, route: Route) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    for name in route.parameters("header"):
        for unusual in ("", '"', "W/", b"\x80" * 2000, "identity;q=0"):
            response = await send(client, call, headers={name: unusual})
            assert response.status_code == 200, f"{name}: {unusual!r}"
