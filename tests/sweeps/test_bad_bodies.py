"""An invalid body: 4xx, the field is named, nothing leaks, and nothing changes."""

from dataclasses import replace

import httpx2
from fastapi import FastAPI

from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import build_call, examples_of, send
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant
from tests.sweeps.openapi.invalid_requests import UNSTORABLE, Mutation, mutate
from tests.sweeps.openapi.pretix_schema import IMPORTS, PLAN_SCHEMA
from tests.sweeps.openapi.refusals import LEGAL, check
from tests.sweeps.openapi.routes import WEBHOOK, Route, Schema, each_route
from ticketing.modules.payments.mock import MockEvent

#: Bodies that cannot be read, and the status codes that they may get.
UNREADABLE_BODIES: dict[str, tuple[bytes, set[int]]] = {
    "cut off": (b'{"a": ', {400}),
    "not UTF-8": (b'{"a": "\xff\xfe"}', {400}),
    "empty": (b"", {400, 415, 422}),
    "null": (b"null", {400, 422}),
    "a list": (b"[]", {400, 422}),
    "a text": (b'"text"', {400, 422}),
    "too deep": (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, {400, 422}),
    "a very long number": (b'{"a": ' + b"9" * 5_000 + b"}", {400, 422}),
    "a key twice and nothing else": (b'{"a": 1, "a": 2}', {400, 422}),
}
OTHER_MEDIA = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")


#: Bodies that the document only outlines: a webhook is parsed after its signature, and a plan is an external format.
OUTLINED = {WEBHOOK: MockEvent.model_json_schema(), **dict.fromkeys(IMPORTS, PLAN_SCHEMA)}


def body_of(route: Route) -> Schema | None:
    return OUTLINED.get(route.name, route.body)


@each_route(body_of)
async def test_an_invalid_field_is_named_and_changes_nothing(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    schema = body_of(route)
    found: list[str] = []
    assert schema is not None
    for build in examples_of(route.name):
        call = await build_call(build, tenant)
        before = await read_state(app)
        for mutation in mutate(schema, call.body):
            response = await send(client, replace(call, body=mutation.body))
            if LEGAL.get((route.name, mutation.field, str(mutation.wrong))) == response.status_code:
                continue
            found += check(response, f"{mutation.field} {mutation.what}", _named(mutation, response))
        assert not found, "\n".join(found)
        assert changed_tables(before, await read_state(app)) == []
        assert (await send(client, call)).is_success, "the valid request succeeds"


def _named(mutation: Mutation, response: httpx2.Response) -> str | None:
    # The number of values is limited before the fields are looked at.
    if response.status_code == 413 and isinstance(mutation.wrong, list):
        return None
    # A strict parser refuses lone surrogates, NaN and Infinity as malformed JSON, without naming a field.
    is_malformed_json = (isinstance(mutation.wrong, str) and mutation.wrong in UNSTORABLE) or isinstance(
        mutation.wrong, float
    )
    if "\ud800" in mutation.field or (is_malformed_json and response.status_code == 400):
        return None
    return mutation.field


@each_route(body_of)
async def test_an_unreadable_body_changes_nothing(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    found: list[str] = []
    before = await read_state(app)
    for what, (content, statuses) in UNREADABLE_BODIES.items():
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
