"""Whatever is wrong with a request: 4xx, the field is named, nothing leaks, and nothing has changed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx2
from fastapi import FastAPI

from tests.sweeps import office_calls, reading_calls, sale_calls  # noqa: F401 (they register the examples)
from tests.sweeps.calls import examples_of, make, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.mutations import TOO_LONG, UNSTORABLE, Mutation, mutate
from tests.sweeps.pretix_schema import IMPORT, PLAN_SCHEMA
from tests.sweeps.routes import STREAM, WEBHOOK, Route, Schema, each_route
from tests.sweeps.stage import Stage
from ticketing.modules.payments.mock import MockEvent

#: What an exception's text, or a program's inside, would look like.
LEAKS = re.compile(
    r"traceback|psycopg|sqlalchemy|pydantic|starlette|fastapi|orjson|ticketing\.|\.py\b|insert into|select |update |"
    r"exception|nonetype|object has no|errno|constraint|0x[0-9a-f]{6}",
    re.IGNORECASE,
)
#: Whole bodies that are no body at all, and the statuses that say so.
WRECKS: dict[str, tuple[bytes, set[int]]] = {
    "cut off": (b'{"a": ', {400}),
    "not UTF-8": (b'{"a": "\xff\xfe"}', {400}),
    "empty": (b"", {400, 415, 422}),
    "null": (b"null", {400, 422}),
    "a list": (b"[]", {400, 422}),
    "a text": (b'"text"', {400, 422}),
    "too deep": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, {400, 422}),
    "an endless number": (b'{"a": ' + b"9" * 5_000 + b"}", {400, 422}),
    "a key twice and nothing else": (b'{"a": 1, "a": 2}', {400, 422}),
}
OTHER_MEDIA = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
#: Values that look wrong and are not, or of which more must not be said than that they open nothing.
LEGAL = {
    # A password may hold any character; this one is not that person's.
    ("POST /auth/login", "password", "a\0b"): 401,
    ("POST /auth/refresh", "refresh_token", "a\0b"): 401,
    # Ending a log-in that never was is no error.
    ("POST /auth/logout", "refresh_token", "a\0b"): 200,
    # Each scan has its own result; here it is `invalid_code`.
    ("POST /orgs/{org_id}/events/{event_id}/check-ins/sync", "scans.0.code", "a\0b"): 200,
    # Whether an address is known is not told apart from whether it could be one.
    ("GET /orders/by-reference/{reference}", "email", "a\0b"): 404,
}


#: Bodies that the document only outlines: a webhook is read after its signature was, a plan is a format of others.
OUTLINED = {WEBHOOK: MockEvent.model_json_schema(), IMPORT: PLAN_SCHEMA}


def body_of(route: Route) -> Schema | None:
    return OUTLINED.get(route.name, route.body)


def check(response: httpx2.Response, what: str, field: str | None = None) -> Iterator[str]:
    """What is wrong with this refusal, in words."""
    if not 400 <= response.status_code < 500:
        yield f"{what}: {response.status_code} {response.text[:300]}"
        return
    if leak := LEAKS.search(response.text):
        yield f"{what}: tells {leak[0]!r} in {response.text[:300]}"
    errors: list[dict[str, Any]] = response.json()["errors"]
    if field is not None and not any(_is_about(error, field) for error in errors):
        yield f"{what}: {response.status_code} does not name {field}: {errors}"


def _is_about(error: dict[str, Any], field: str) -> bool:
    named = str(error.get("field"))
    return named == field or named.startswith(field + ".")


@each_route(body_of)
async def test_a_field_that_is_wrong_is_named_and_changes_nothing(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    schema, found = body_of(route), []
    assert schema is not None
    for maker in examples_of(route.name):
        call = await make(maker, stage)
        before = await read_state(app)
        for mutation in mutate(schema, call.body):
            response = await send(client, replace(call, body=mutation.body))
            if LEGAL.get((route.name, mutation.field, str(mutation.wrong))) == response.status_code:
                continue
            found += check(response, f"{mutation.field} {mutation.what}", _named(mutation, response))
        assert not found, "\n".join(found)
        assert changed_tables(before, await read_state(app)) == []
        assert (await send(client, call)).is_success, "without a mistake it would have been done"


def _named(mutation: Mutation, response: httpx2.Response) -> str | None:
    # Half of a surrogate pair, NaN and Infinity are no JSON to a strict reader, which then knows of no fields.
    is_no_json = (isinstance(mutation.wrong, str) and mutation.wrong in UNSTORABLE) or isinstance(mutation.wrong, float)
    if "\ud800" in mutation.field or (is_no_json and response.status_code == 400):
        return None
    return mutation.field


@each_route(body_of)
async def test_a_body_that_cannot_be_read_changes_nothing(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call, found = await make(next(examples_of(route.name)), stage), []
    before = await read_state(app)
    for what, (content, statuses) in WRECKS.items():
        response = await send(client, call, content=content)
        found += check(response, what)
        if response.status_code not in statuses:
            found.append(f"{what}: {response.status_code} {response.text[:200]}")
    for media_type in OTHER_MEDIA if route.name != WEBHOOK else ():
        response = await send(client, call, headers={"Content-Type": media_type})
        found += check(response, media_type)
        if response.status_code != 415:
            found.append(f"{media_type}: {response.status_code} {response.text[:200]}")
    assert not found, "\n".join(found)
    assert changed_tables(before, await read_state(app)) == []


@each_route(lambda route: route.parameters("path"))
async def test_an_id_that_is_none_is_refused(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call, found = await make(next(examples_of(route.name)), stage), []
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


#: Wrong values of query parameters, by what belongs there.
WRONG_QUERY: dict[str, tuple[str, ...]] = {
    "integer": ("abc", "-1", "0", "1.5", "", str(10**30), "1e3", "\0"),
    "uuid": ("not-a-uuid", "1", "\0"),
    "date-time": ("yesterday", "2030-06-01T19:00:00", "1893456000", "\0"),
    "enum": ("nothing", "\0"),
    "string": (TOO_LONG, "a\0b", "\0"),
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
    TOO_LONG,
)


@each_route(lambda route: route.parameters("query"))
async def test_a_query_that_is_wrong_is_named(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call, found = await make(next(examples_of(route.name)), stage), []
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
async def test_a_key_that_is_wrong_is_named(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, route: Route
) -> None:
    call, found = await make(next(examples_of(route.name)), stage), []
    before = await read_state(app)
    for wrong in ("x" * 256, "tab\there"):
        response = await send(client, call, headers={"Idempotency-Key": wrong})
        found += check(response, repr(wrong), "Idempotency-Key")
    assert not found, "\n".join(found)
    assert changed_tables(before, await read_state(app)) == []


@each_route(lambda route: {"if-none-match"} & route.parameters("header").keys() and route.name != STREAM)
async def test_a_strange_header_is_no_reason_to_fail(client: httpx2.AsyncClient, stage: Stage, route: Route) -> None:
    call = await make(next(examples_of(route.name)), stage)
    for name in route.parameters("header"):
        for strange in ("", '"', "W/", b"\x80" * 2000, "identity;q=0"):
            response = await send(client, call, headers={name: strange})
            assert response.status_code == 200, f"{name}: {strange!r}"
