"""Tenants are walls: whatever a stranger asks about another's things, it is as if these did not exist."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.support.world import World, data, refusal
from tests.sweeps.calls import organization, reads, sale  # noqa: F401 (they register the examples)
from tests.sweeps.calls.call import Call, examples_of, make, send
from tests.sweeps.calls.reads import known_ids
from tests.sweeps.database_state import changed_tables, read_state
from tests.sweeps.full_tenant import Stage, set_stage
from tests.sweeps.openapi.routes import Route, all_routes, each_route, id_fields, takes_an_id
from tests.sweeps.strangers import (
    NO_TENANTS_ID,
    Stranger,
    ids_in,
    impression,
    names_in,
    one_by_one,
    strangers_from,
    with_unknown_ids,
)

#: What everybody may do with a published event: look at it, and hold seats when logged in.
PUBLIC_READS = {f"GET /events/{{event_id}}{rest}" for rest in ("", "/seats", "/seatmap", "/availability", "/stream")}
PUBLIC = {*PUBLIC_READS, "POST /reservations"}


@pytest.fixture(scope="module")
async def other(app: FastAPI, world: World) -> Stage:
    """The other tenant: what is whose is never in doubt, as they share no one and nothing."""
    return await set_stage(app, world, "other")


def is_about_somebodys_things(route: Route) -> bool:
    named = route.parameters("path").keys() - NO_TENANTS_ID.keys()
    return bool(named) or (route.body is not None and not route.name.startswith("POST /auth/"))


def test_every_path_parameter_is_known_to_the_sweep(stage: Stage) -> None:
    for route in all_routes().values():
        unknown = route.parameters("path").keys() - known_ids(stage).keys() - NO_TENANTS_ID.keys()
        assert not unknown, f"{route.name}: the sweep has no {unknown} of another tenant"


@each_route(lambda route: is_about_somebodys_things(route) and route.name not in PUBLIC)
async def test_a_strangers_request_is_as_one_about_nothing(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, other: Stage, route: Route
) -> None:
    for maker in examples_of(route.name):
        call, home = await make(maker, other), stage.tenant.id
        before = await read_state(app)
        await _try_all(client, stage, call, kept=set())
        # From within one's own organization, about the other's things.
        if "org_id" in call.ids:
            await _try_all(client, stage, replace(call, ids={**call.ids, "org_id": home}), kept={home})
        assert changed_tables(before, await read_state(app)) == []
        assert (await send(client, call)).is_success, "whose it is may do it"


async def _try_all(client: httpx2.AsyncClient, stage: Stage, call: Call, kept: set[str]) -> None:
    theirs = ids_in(call, kept)
    if not theirs:
        return  # nothing of the other's is left in it: it is a request about one's own things
    unknown, swapped = with_unknown_ids(call, theirs)
    for stranger in strangers_from(stage):
        met = await send(client, call, headers=stranger.headers)
        assert not met.is_success, f"{stranger.name}: {call.route} {met.status_code} {met.text[:500]}"
        nothing = await send(client, unknown, headers=stranger.headers)
        assert impression(met, swapped) == impression(nothing, swapped), stranger.name
        assert met.status_code in _expected(stranger, is_at_home=bool(kept)), f"{stranger.name}: {met.text[:500]}"


def _expected(stranger: Stranger, *, is_at_home: bool) -> set[int]:
    if stranger.name == "nobody":
        return {401}
    # A machine is no person: where only people are served, it is asked to log in. 403 is told at home alone, to whom
    # the own role does not reach; 422 there is for an id in the body.
    return {404} | (set() if stranger.is_person else {401}) | ({403, 422} if is_at_home else set())


@each_route(lambda route: route.name in PUBLIC)
async def test_a_strangers_draft_does_not_exist(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, other: Stage, route: Route
) -> None:
    body = {"event_id": other.draft.id, "seats": ["Stalls-A-1"]} if route.method == "POST" else None
    call = Call(None, {"event_id": other.draft.id}, body, route=route.name)
    unknown, swapped = with_unknown_ids(call, [other.draft.id])
    before = await read_state(app)
    for stranger in strangers_from(stage):
        met = await send(client, call, headers=stranger.headers)
        nothing = await send(client, unknown, headers=stranger.headers)
        assert impression(met, swapped) == impression(nothing, swapped), stranger.name
        assert met.status_code == (401 if route.method == "POST" and _is_no_person(stranger) else 404), stranger.name
    assert changed_tables(before, await read_state(app)) == []


def _is_no_person(stranger: Stranger) -> bool:
    return not stranger.is_person


@each_route(lambda route: is_about_somebodys_things(route) and route.name not in PUBLIC)
async def test_one_foreign_id_among_ones_own_is_as_one_of_nothing(
    app: FastAPI, client: httpx2.AsyncClient, stage: Stage, other: Stage, route: Route
) -> None:
    for maker in examples_of(route.name):
        mine, theirs = await make(maker, stage), await make(maker, other)
        before = await read_state(app)
        for crossed, unknown, swapped in one_by_one(mine, theirs):
            for stranger in strangers_from(stage):
                met = await send(client, crossed, headers=stranger.headers)
                assert not met.is_success, f"{stranger.name}: {crossed.path} {met.status_code} {met.text[:500]}"
                nothing = await send(client, unknown, headers=stranger.headers)
                assert impression(met, swapped) == impression(nothing, swapped), f"{stranger.name}: {crossed.path}"
        assert changed_tables(before, await read_state(app)) == []


def _asked_by_id(route: Route) -> list[str]:
    """The names of its query parameters that take an id."""
    return [name for name, schema in route.parameters("query").items() if takes_an_id(schema)]


#: Filters of what is public: an organization's published events are anybody's to list.
PUBLIC_FILTERS = {("GET /events", "organization")}


@each_route(_asked_by_id)
async def test_a_foreign_id_in_a_query_is_as_one_of_nothing(
    client: httpx2.AsyncClient, stage: Stage, other: Stage, route: Route
) -> None:
    call = await make(next(examples_of(route.name)), stage)
    for name in _asked_by_id(route):
        if (route.name, name) in PUBLIC_FILTERS:
            continue
        theirs, nobodys = known_ids(other)[name], str(uuid4())
        for stranger in strangers_from(stage):
            met = await send(client, replace(call, query={**call.query, name: theirs}), headers=stranger.headers)
            nothing = await send(client, replace(call, query={**call.query, name: nobodys}), headers=stranger.headers)
            assert impression(met, {theirs: nobodys}) == impression(nothing, {theirs: nobodys}), stranger.name
            assert not met.is_success or met.text == nothing.text


@each_route(lambda route: route.body)
async def test_every_id_that_a_body_can_carry_is_in_an_example(stage: Stage, route: Route) -> None:
    wanted = set(id_fields(route.body or {}))
    bodies = [(await make(maker, stage)).body for maker in examples_of(route.name)] if wanted else []
    sent = {name for body in bodies for name in names_in(body)}
    assert wanted <= sent, "an id that no example sends is swept by nobody"


async def test_a_draft_is_in_nobody_elses_list(client: httpx2.AsyncClient, stage: Stage, other: Stage) -> None:
    for query in ({"limit": "100"}, {"organization": other.tenant.id}, {"q": "Secret"}):
        call = Call(None, query=query, route="GET /events")
        for stranger in strangers_from(stage):
            found = {event["id"] for event in data(await send(client, call, headers=stranger.headers))}
            assert other.draft.id not in found
            assert other.show.id in found or "q" in query


async def test_ones_own_lists_hold_nothing_of_the_others(stage: Stage, other: Stage) -> None:
    lists = [path for path in reads.BY_ADMIN if all_routes()[f"GET {path}"].is_list or path.endswith(".csv")]
    lists += [path for path in reads.BY_BUYER if all_routes()[f"GET {path}"].is_list]
    theirs = {other.tenant.id, other.buyer.id, other.buyer.email, other.draft.id, other.order["id"], other.ticket["id"]}
    for path in lists:
        for person in (stage.admin, stage.buyer):
            answer = await person.get(path.format_map(known_ids(stage)))
            leaked = [each for each in theirs if each in answer.text]
            assert not leaked, f"{path}: {leaked}"


async def test_anothers_event_filters_ones_own_orders_to_none(stage: Stage, other: Stage) -> None:
    path = stage.tenant.path("/orders")
    for filters in (f"event_id={other.show.id}", f"q={other.order['reference']}", f"q={other.buyer.email}"):
        assert data(await stage.admin.get(f"{path}?{filters}")) == []


async def test_a_reference_opens_nothing_without_its_address(client: httpx2.AsyncClient, stage: Stage) -> None:
    call = await make(next(examples_of("GET /orders/by-reference/{reference}")), stage)
    for query in ({"email": stage.admin.email}, {"email": f"x{stage.buyer.email}"}, {"email": "nobody@example.com"}):
        met = await send(client, replace(call, query=query))
        nothing = await send(client, replace(call, query=query, ids={"reference": "2222-2222"}))
        assert impression(met, {}) == impression(nothing, {})
        assert met.status_code == 404


async def test_anothers_ticket_opens_no_door_of_ones_own(app: FastAPI, stage: Stage, other: Stage) -> None:
    door = stage.show.path("/check-ins")
    code = other.ticket["code"]
    before = await read_state(app)
    error = refusal(await stage.scanner.post(door, {"code": code}), 409)
    # The event stands in the code, for scanners without a network; more than that is not told.
    assert error.keys() == {"code", "message", "field"}
    assert error["code"] == "wrong_event"
    scan = {"code": code, "scanned_at": "2026-06-01T19:00:00Z", "nonce": uuid4().hex}
    [result] = data(await stage.scanner.post(f"{door}/sync", {"scans": [scan]}))["results"]
    assert (result["result"], result["ticket_id"]) == ("wrong_event", None)
    assert changed_tables(before, await read_state(app)) == []


async def test_anothers_ticket_types_are_not_sold_at_ones_own_event(app: FastAPI, stage: Stage, other: Stage) -> None:
    async def ask(event_id: str, type_id: str | None) -> dict[str, Any]:
        items = [{"ticket_type_id": type_id, "quantity": 1}]
        return refusal(await stage.buyer.post("/reservations", {"event_id": event_id, "items": items}), 422)

    before = await read_state(app)
    mixed = await ask(stage.show.id, other.show.area_type_id)
    assert mixed == await ask(stage.show.id, str(uuid4()))
    assert await ask(other.show.id, stage.show.area_type_id) == mixed
    assert changed_tables(before, await read_state(app)) == []


async def test_anothers_tickets_are_not_refunded_with_ones_own_order(app: FastAPI, stage: Stage, other: Stage) -> None:
    call = await make(next(examples_of("POST /orders/{order_id}/refunds")), stage)
    before = await read_state(app)
    asked = [stage.staff.post(call.path.removeprefix("/api/v1"), {"ticket_ids": [i]}) for i in _tickets(other)]
    met, nothing = [await each for each in asked]
    ids = _tickets(other)
    assert met.status_code == nothing.status_code == 422
    assert met.text.count(ids[0]) == nothing.text.count(ids[1])
    assert changed_tables(before, await read_state(app)) == []


_unknown = str(uuid4())


def _tickets(other: Stage) -> tuple[str, str]:
    return other.ticket["id"], _unknown


async def test_a_tenants_role_is_worth_nothing_in_the_other(stage: Stage, other: Stage) -> None:
    [mine] = data(await stage.staff.get("/me"))["memberships"]
    assert (mine["organization_id"], mine["role"]) == (stage.tenant.id, "ORG_STAFF")
    for role in ("ORG_ADMIN", "ORG_STAFF", "ORG_SCANNER", "SUPER_ADMIN"):
        body = {"email": stage.admin.email, "role": role}
        answer = await stage.admin.post(other.tenant.path("/members"), body)
        assert answer.status_code in {404, 422}
    assert data(await stage.admin.get("/me"))["memberships"][0]["organization_id"] == stage.tenant.id
