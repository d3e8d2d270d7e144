"""The fast path responds as the documented route does, and passes unusual requests to it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from starlette.responses import Response

from tests.support.world import Person, Show, World
from ticketing.modules.reservations import api
from ticketing.modules.reservations.hold.pending import HoldResponse

#: The fast path accepts only the plain content type; the route accepts parameters too.
ROUTE = {"Content-Type": "application/json; charset=utf-8"}
FAST = {"Content-Type": "application/json"}

Body = Callable[[Show], dict[str, Any]]
#: Sent through each of the two paths.
DECIDED: dict[str, tuple[int, Body]] = {
    "taken": (409, lambda show: {"event_id": show.id, "seats": [show.labels[0]]}),
    "unknown seat": (422, lambda show: {"event_id": show.id, "seats": ["Nowhere-1"]}),
    "too many": (422, lambda show: {"event_id": show.id, "seats": list(show.labels[1:])}),
    "sold out": (
        409,
        lambda show: {"event_id": show.id, "items": [{"ticket_type_id": show.area_type_id, "quantity": 2}]},
    ),
    "no such type": (
        422,
        lambda show: {"event_id": show.id, "items": [{"ticket_type_id": str(uuid4()), "quantity": 1}]},
    ),
    "no such event": (404, lambda _: {"event_id": str(uuid4()), "seats": ["A-1"]}),
}
#: Requests that the fast path passes on.
UNUSUAL: dict[str, tuple[int, dict[str, str], bytes]] = {
    "no token": (401, {"Authorization": ""}, b"{}"),
    "a wrong token": (401, {"Authorization": "Bearer x"}, b"{}"),
    "another scheme": (401, {"Authorization": "Basic eDp5"}, b"{}"),
    "no key": (400, {"Idempotency-Key": ""}, b"{}"),
    "no JSON": (400, {}, b"{"),
    "not the schema": (422, {}, b'{"event_id": 1, "seats": []}'),
    "another content type": (415, {"Content-Type": "text/plain"}, b"{}"),
}


@pytest.fixture
def by_route(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The status codes of responses from the route."""
    seen: list[int] = []
    as_response = api.as_response

    def recorded(response: HoldResponse) -> Response:
        seen.append(response.status)
        return as_response(response)

    monkeypatch.setattr(api, "as_response", recorded)
    return seen


async def post_hold(buyer: Person, body: dict[str, Any], headers: dict[str, str], key: str = "") -> httpx2.Response:
    return await buyer.post("/reservations", key=key or uuid4().hex, content=orjson.dumps(body), headers=headers)


def seen(response: httpx2.Response) -> tuple[int, Any, set[str], str | None]:
    body = response.json()
    body["meta"] = None  # the correlation id
    names = {name.lower() for name in response.headers}
    return response.status_code, body, names, response.headers["content-type"]


async def test_a_hold_gets_the_same_response(app: FastAPI, world: World, by_route: list[int]) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    fast = await post_hold(buyer, {"event_id": show.id, "seats": [show.labels[0]]}, FAST)
    assert (fast.status_code, by_route) == (201, [])
    route = await post_hold(buyer, {"event_id": show.id, "seats": [show.labels[1]]}, ROUTE)
    assert (route.status_code, by_route) == (201, [201])
    assert _shape(fast.json()) == _shape(route.json())
    assert {name.lower() for name in fast.headers} == {name.lower() for name in route.headers}
    assert fast.headers["content-type"] == route.headers["content-type"]


@pytest.mark.parametrize("case", DECIDED)
async def test_both_paths_refuse_alike(app: FastAPI, world: World, by_route: list[int], case: str) -> None:
    show, buyer = await world.show(rows=1, seats=4, capacity=1, max_per_order=2), await world.person()
    await world.hold(await world.person(), show, show.labels[0])
    by_route.clear()
    status, body_of = DECIDED[case]
    body = body_of(show)
    fast = await post_hold(buyer, body, FAST)
    assert by_route == []
    route = await post_hold(buyer, body, ROUTE)
    assert fast.status_code == status
    assert seen(fast) == seen(route)


@pytest.mark.parametrize("paths", [(FAST, ROUTE), (ROUTE, FAST)], ids=["fast path first", "route first"])
async def test_each_path_replays_the_responses_of_the_other(
    app: FastAPI, world: World, paths: tuple[dict[str, str], dict[str, str]]
) -> None:
    show, buyer, key = await world.show(rows=1, seats=2), await world.person(), uuid4().hex
    body = {"event_id": show.id, "seats": [show.labels[0]]}
    first = await post_hold(buyer, body, paths[0], key)
    replay = await post_hold(buyer, body, paths[1], key)
    assert (first.status_code, replay.status_code, replay.content) == (201, 201, first.content)
    assert replay.headers["Idempotency-Replayed"] == "true"
    mismatch = await post_hold(buyer, {"event_id": show.id, "seats": [show.labels[1]]}, paths[1], key)
    assert mismatch.json()["errors"][0]["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("case", UNUSUAL)
async def test_unusual_requests_are_passed_to_the_route(app: FastAPI, world: World, case: str) -> None:
    buyer = await world.person()
    status, headers, body = UNUSUAL[case]
    sent = {**FAST, "Idempotency-Key": uuid4().hex, "Authorization": f"Bearer {buyer.token}", **headers}
    answer = await buyer.client.post(
        "/api/v1/reservations", content=body, headers={name: value for name, value in sent.items() if value}
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"]


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_shape(inner) for inner in value]
    return type(value)
