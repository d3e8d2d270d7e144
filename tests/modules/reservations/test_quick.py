"""The short way to a hold answers as the documented route does, and leaves to it whatever is unusual."""

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
from ticketing.modules.reservations.hold.requests import Answer

#: The short way takes no other content type, and the route does.
ROUTE = {"Content-Type": "application/json; charset=utf-8"}
QUICK = {"Content-Type": "application/json"}

Body = Callable[[Show], dict[str, Any]]
#: What is asked for by each way in turn.
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
#: What the short way never decides.
UNUSUAL: dict[str, tuple[int, dict[str, str], bytes]] = {
    "no token": (401, {"Authorization": ""}, b"{}"),
    "a wrong token": (401, {"Authorization": "Bearer x"}, b"{}"),
    "another scheme": (401, {"Authorization": "Basic eDp5"}, b"{}"),
    "no key": (400, {"Idempotency-Key": ""}, b"{}"),
    "no JSON": (400, {}, b"{"),
    "not what is described": (422, {}, b'{"event_id": 1, "seats": []}'),
    "another type": (415, {"Content-Type": "text/plain"}, b"{}"),
}


@pytest.fixture
def by_route(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses of what the route answered."""
    seen: list[int] = []
    rendered = api.rendered

    def noted(answer: Answer) -> Response:
        seen.append(answer.status)
        return rendered(answer)

    monkeypatch.setattr(api, "rendered", noted)
    return seen


async def ask(buyer: Person, body: dict[str, Any], way: dict[str, str], key: str = "") -> httpx2.Response:
    return await buyer.post("/reservations", key=key or uuid4().hex, content=orjson.dumps(body), headers=way)


def seen(response: httpx2.Response) -> tuple[int, Any, set[str], str | None]:
    body = response.json()
    body["meta"] = None  # the correlation id
    names = {name.lower() for name in response.headers}
    return response.status_code, body, names, response.headers["content-type"]


async def test_a_hold_looks_the_same(app: FastAPI, world: World, by_route: list[int]) -> None:
    show, buyer = await world.show(rows=1, seats=2), await world.person()
    quick = await ask(buyer, {"event_id": show.id, "seats": [show.labels[0]]}, QUICK)
    assert (quick.status_code, by_route) == (201, [])
    route = await ask(buyer, {"event_id": show.id, "seats": [show.labels[1]]}, ROUTE)
    assert (route.status_code, by_route) == (201, [201])
    assert _shape(quick.json()) == _shape(route.json())
    assert {name.lower() for name in quick.headers} == {name.lower() for name in route.headers}
    assert quick.headers["content-type"] == route.headers["content-type"]


@pytest.mark.parametrize("case", DECIDED)
async def test_both_ways_answer_alike(app: FastAPI, world: World, by_route: list[int], case: str) -> None:
    show, buyer = await world.show(rows=1, seats=4, capacity=1, max_per_order=2), await world.person()
    await world.hold(await world.person(), show, show.labels[0])
    by_route.clear()
    status, body_of = DECIDED[case]
    body = body_of(show)
    quick = await ask(buyer, body, QUICK)
    assert by_route == []
    route = await ask(buyer, body, ROUTE)
    assert quick.status_code == status
    assert seen(quick) == seen(route)


@pytest.mark.parametrize("ways", [(QUICK, ROUTE), (ROUTE, QUICK)], ids=["quick first", "route first"])
async def test_each_way_replays_what_the_other_answered(
    app: FastAPI, world: World, ways: tuple[dict[str, str], dict[str, str]]
) -> None:
    show, buyer, key = await world.show(rows=1, seats=2), await world.person(), uuid4().hex
    body = {"event_id": show.id, "seats": [show.labels[0]]}
    first = await ask(buyer, body, ways[0], key)
    again = await ask(buyer, body, ways[1], key)
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    mismatch = await ask(buyer, {"event_id": show.id, "seats": [show.labels[1]]}, ways[1], key)
    assert mismatch.json()["errors"][0]["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("case", UNUSUAL)
async def test_the_unusual_is_left_to_the_route(app: FastAPI, world: World, case: str) -> None:
    buyer = await world.person()
    status, headers, body = UNUSUAL[case]
    sent = {**QUICK, "Idempotency-Key": uuid4().hex, "Authorization": f"Bearer {buyer.token}", **headers}
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
