"""Isolation of tenants: a request with ids of another tenant gets the same response as one with unknown ids."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.world import World, data, refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (imported to register the examples)
from tests.sweeps.calls.call import Call, build_call, examples_of, send
from tests.sweeps.calls.reads import known_ids
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import FullTenant, create_full_tenant
from tests.sweeps.openapi.routes import Route, all_routes, each_route, id_fields, takes_an_id
from tests.sweeps.other_tenant import (
    NOT_TENANT_IDS,
    ForeignCaller,
    callers_of,
    ids_in,
    names_in,
    visible_response,
    with_one_foreign_id,
    with_unknown_ids,
)

#: Routes of published events that are open to all callers, to hold seats after logging in.
PUBLIC_READS = {f"GET /events/{{event_id}}{rest}" for rest in ("", "/seats", "/seatmap", "/availability", "/stream")}
PUBLIC = {*PUBLIC_READS, "POST /reservations"}
#: It authorizes the caller before it reads the body, and records the use of an API key then.
EARLY_RECORD = {"POST /orgs/{org_id}/venues/{venue_id}/plans/import": ["api_keys"]}


@pytest.fixture(scope="module")
async def other(app: FastAPI, world: World) -> FullTenant:
    """The other tenant. The two share no users and no resources."""
    return await create_full_tenant(app, world, "other")


def has_tenant_ids(route: Route) -> bool:
    named = route.parameters("path").keys() - NOT_TENANT_IDS.keys()
    return bool(named) or (route.body is not None and not route.name.startswith("POST /auth/"))


def test_every_path_parameter_is_known_to_the_sweep(tenant: FullTenant) -> None:
    for route in all_routes().values():
        unknown = route.parameters("path").keys() - known_ids(tenant).keys() - NOT_TENANT_IDS.keys()
        assert not unknown, f"{route.name}: the sweep has no {unknown} of another tenant"


@each_route(lambda route: has_tenant_ids(route) and route.name not in PUBLIC)
async def test_ids_of_another_tenant_are_like_unknown_ids(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, other: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        call, home = await build_call(build, other), tenant.organization.id
        before = await read_state(app)
        await _check_foreign_callers(client, tenant, call, kept=set())
        # Through the own organization, with ids of the other's resources.
        if "org_id" in call.ids:
            await _check_foreign_callers(client, tenant, replace(call, ids={**call.ids, "org_id": home}), kept={home})
        assert changed_tables(before, await read_state(app)) in ([], EARLY_RECORD.get(route.name))
        assert (await send(client, call)).is_success, "its owner may send it"


async def _check_foreign_callers(client: httpx2.AsyncClient, tenant: FullTenant, call: Call, kept: set[str]) -> None:
    theirs = ids_in(call, kept)
    if not theirs:
        return  # contains no foreign id
    unknown, swapped = with_unknown_ids(call, theirs)
    for caller in callers_of(tenant):
        found = await send(client, call, headers=caller.headers)
        assert not found.is_success, f"{caller.name}: {call.route} {found.status_code} {found.text[:500]}"
        nothing = await send(client, unknown, headers=caller.headers)
        assert visible_response(found, swapped) == visible_response(nothing, swapped), caller.name
        assert found.status_code in _expected(caller, is_own_organization=bool(kept)), (
            f"{caller.name}: {found.text[:500]}"
        )


def _expected(caller: ForeignCaller, *, is_own_organization: bool) -> set[int]:
    if caller.name == "anonymous":
        return {401}
    # Routes for users only treat API keys and devices as unauthenticated (401). Within the own organization, an
    # insufficient role gets 403, and an id in the body 422.
    return {404} | (set() if caller.is_user else {401}) | ({403, 422} if is_own_organization else set())


@each_route(lambda route: route.name in PUBLIC)
async def test_a_draft_of_another_tenant_does_not_exist(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, other: FullTenant, route: Route
) -> None:
    body = {"event_id": other.draft.id, "seats": ["Stalls-A-1"]} if route.method == "POST" else None
    call = Call(None, {"event_id": other.draft.id}, body, route=route.name)
    unknown, swapped = with_unknown_ids(call, [other.draft.id])
    before = await read_state(app)
    for caller in callers_of(tenant):
        found = await send(client, call, headers=caller.headers)
        nothing = await send(client, unknown, headers=caller.headers)
        assert visible_response(found, swapped) == visible_response(nothing, swapped), caller.name
        assert found.status_code == (401 if route.method == "POST" and _is_not_user(caller) else 404), caller.name
    assert changed_tables(before, await read_state(app)) == []


def _is_not_user(caller: ForeignCaller) -> bool:
    return not caller.is_user


@each_route(lambda route: has_tenant_ids(route) and route.name not in PUBLIC)
async def test_one_foreign_id_among_own_ids_is_like_an_unknown_id(
    app: FastAPI, client: httpx2.AsyncClient, tenant: FullTenant, other: FullTenant, route: Route
) -> None:
    for build in examples_of(route.name):
        mine, theirs = await build_call(build, tenant), await build_call(build, other)
        before = await read_state(app)
        for crossed, unknown, swapped in with_one_foreign_id(mine, theirs):
            for caller in callers_of(tenant):
                found = await send(client, crossed, headers=caller.headers)
                assert not found.is_success, f"{caller.name}: {crossed.path} {found.status_code} {found.text[:500]}"
                nothing = await send(client, unknown, headers=caller.headers)
                assert visible_response(found, swapped) == visible_response(nothing, swapped), (
                    f"{caller.name}: {crossed.path}"
                )
        assert changed_tables(before, await read_state(app)) == []


def _asked_by_id(route: Route) -> list[str]:
    """The names of its query parameters that take an id."""
    return [name for name, schema in route.parameters("query").items() if takes_an_id(schema)]


#: Filters of public resources: every caller may list the published events of an organization.
PUBLIC_FILTERS = {("GET /events", "organization")}


@each_route(_asked_by_id)
async def test_a_foreign_id_in_a_query_is_like_an_unknown_id(
    client: httpx2.AsyncClient, tenant: FullTenant, other: FullTenant, route: Route
) -> None:
    call = await build_call(next(examples_of(route.name)), tenant)
    for name in _asked_by_id(route):
        if (route.name, name) in PUBLIC_FILTERS:
            continue
        theirs, unknown = known_ids(other)[name], str(uuid4())
        for caller in callers_of(tenant):
            found = await send(client, replace(call, query={**call.query, name: theirs}), headers=caller.headers)
            nothing = await send(client, replace(call, query={**call.query, name: unknown}), headers=caller.headers)
            assert visible_response(found, {theirs: unknown}) == visible_response(nothing, {theirs: unknown}), (
                caller.name
            )
            assert not found.is_success or found.text == nothing.text


@each_route(lambda route: route.body)
async def test_every_id_field_of_a_body_is_in_an_example(tenant: FullTenant, route: Route) -> None:
    wanted = set(id_fields(route.body or {}))
    bodies = [(await build_call(build, tenant)).body for build in examples_of(route.name)] if wanted else []
    sent = {name for body in bodies for name in names_in(body)}
    assert wanted <= sent, "an id that is in no example is not swept"


async def test_a_draft_is_not_in_the_lists_of_others(
    client: httpx2.AsyncClient, tenant: FullTenant, other: FullTenant
) -> None:
    for query in ({"limit": "100"}, {"organization": other.organization.id}, {"q": "Secret"}):
        call = Call(None, query=query, route="GET /events")
        for caller in callers_of(tenant):
            found = {event["id"] for event in data(await send(client, call, headers=caller.headers))}
            assert other.draft.id not in found
            assert other.show.id in found or "q" in query


async def test_lists_contain_nothing_of_another_tenant(tenant: FullTenant, other: FullTenant) -> None:
    lists = [path for path in reads.BY_ADMIN if all_routes()[f"GET {path}"].is_list or path.endswith(".csv")]
    lists += [path for path in reads.BY_BUYER if all_routes()[f"GET {path}"].is_list]
    theirs = {
        other.organization.id,
        other.buyer.id,
        other.buyer.email,
        other.draft.id,
        other.order["id"],
        other.ticket["id"],
    }
    for path in lists:
        for person in (tenant.admin, tenant.buyer):
            response = await person.get(path.format_map(known_ids(tenant)))
            leaked = [each for each in theirs if each in response.text]
            assert not leaked, f"{path}: {leaked}"


async def test_orders_filtered_by_an_event_of_another_tenant_are_empty(tenant: FullTenant, other: FullTenant) -> None:
    path = tenant.organization.path("/orders")
    for filters in (f"event_id={other.show.id}", f"q={other.order['reference']}", f"q={other.buyer.email}"):
        assert data(await tenant.admin.get(f"{path}?{filters}")) == []


async def test_an_order_reference_needs_its_email_address(client: httpx2.AsyncClient, tenant: FullTenant) -> None:
    call = await build_call(next(examples_of("GET /orders/by-reference/{reference}")), tenant)
    for query in ({"email": tenant.admin.email}, {"email": f"x{tenant.buyer.email}"}, {"email": "nobody@example.com"}):
        found = await send(client, replace(call, query=query))
        nothing = await send(client, replace(call, query=query, ids={"reference": "2222-2222"}))
        assert visible_response(found, {}) == visible_response(nothing, {})
        assert found.status_code == 404


async def test_a_ticket_of_another_tenant_is_not_admitted(app: FastAPI, tenant: FullTenant, other: FullTenant) -> None:
    door = tenant.show.path("/check-ins")
    code = other.ticket["code"]
    before = await read_state(app)
    error = refusal(await tenant.scanner.post(door, {"code": code}), 409)
    # The code contains the event, for scanners without a network; nothing else is revealed.
    assert error.keys() == {"code", "message", "field"}
    assert error["code"] == "wrong_event"
    scan = {"code": code, "scanned_at": "2026-06-01T19:00:00Z", "nonce": uuid4().hex}
    [result] = data(await tenant.scanner.post(f"{door}/sync", {"scans": [scan]}))["results"]
    assert (result["result"], result["ticket_id"]) == ("wrong_event", None)
    assert changed_tables(before, await read_state(app)) == []


async def test_ticket_types_of_another_tenant_are_not_sold(app: FastAPI, tenant: FullTenant, other: FullTenant) -> None:
    async def ask(event_id: str, type_id: str | None) -> dict[str, Any]:
        items = [{"ticket_type_id": type_id, "quantity": 1}]
        return refusal(await tenant.buyer.post("/reservations", {"event_id": event_id, "items": items}), 422)

    before = await read_state(app)
    mixed = await ask(tenant.show.id, other.show.area_type_id)
    assert mixed == await ask(tenant.show.id, str(uuid4()))
    assert await ask(other.show.id, tenant.show.area_type_id) == mixed
    assert changed_tables(before, await read_state(app)) == []


async def test_tickets_of_another_tenant_are_not_refunded(app: FastAPI, tenant: FullTenant, other: FullTenant) -> None:
    call = await build_call(next(examples_of("POST /orders/{order_id}/refunds")), tenant)
    before = await read_state(app)
    asked = [tenant.staff.post(call.path.removeprefix("/api/v1"), {"ticket_ids": [i]}) for i in _tickets(other)]
    found, nothing = [await each for each in asked]
    ids = _tickets(other)
    assert found.status_code == nothing.status_code == 422
    assert found.text.count(ids[0]) == nothing.text.count(ids[1])
    assert changed_tables(before, await read_state(app)) == []


_unknown = str(uuid4())


def _tickets(other: FullTenant) -> tuple[str, str]:
    return other.ticket["id"], _unknown


async def test_a_role_is_not_valid_in_another_tenant(tenant: FullTenant, other: FullTenant) -> None:
    [mine] = data(await tenant.staff.get("/me"))["memberships"]
    assert (mine["organization_id"], mine["role"]) == (tenant.organization.id, "ORG_STAFF")
    for role in ("ORG_ADMIN", "ORG_STAFF", "ORG_SCANNER", "SUPER_ADMIN"):
        body = {"email": tenant.admin.email, "role": role}
        response = await tenant.admin.post(other.organization.path("/members"), body)
        assert response.status_code in {404, 422}
    assert data(await tenant.admin.get("/me"))["memberships"][0]["organization_id"] == tenant.organization.id
