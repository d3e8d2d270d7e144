"""Creating an order: once per reservation, from the caller's own active hold."""

import asyncio
import re
import secrets
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import end_hold, message_counts, rows, run
from tests.support.drain import drain
from tests.support.world import Person, World, data, refusal
from ticketing.modules import reservations

REFERENCE = re.compile(r"[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{4}")


def body_for(reservation: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "reservation_id": reservation["id"],
        "buyer": {"email": "Ada@Example.com", "name": "Ada Byron"},
        **changes,
    }


async def held(world: World, *seats: str, **show: Any) -> tuple[Person, Any, Any]:
    event = await world.show(rows=1, seats=4, **show)
    buyer = await world.person("buyer")
    return buyer, event, await world.hold(buyer, event, *seats)


async def test_an_order_has_its_lines_and_its_expiry(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4, capacity=10)
    buyer = await world.person("buyer")
    places = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    reservation = await world.hold(buyer, show, "Stalls-A-2", "Stalls-A-1", items=places)
    order = data(await buyer.post("/orders", body_for(reservation)), 201)
    assert REFERENCE.fullmatch(order["reference"])
    assert order["status"] == "pending"
    assert order["event_id"] == show.id
    assert order["event"] == {
        "id": show.id,
        "title": "Show",
        "starts_at": "2030-06-01T19:00:00Z",
        "timezone": "Europe/Amsterdam",
        "venue_name": "Hall",
    }
    assert order["reservation_id"] == reservation["id"]
    assert order["expires_at"] == reservation["expires_at"]
    assert order["buyer"] == {"email": "ada@example.com", "name": "Ada Byron"}
    lines = [(line["seat"], line["name"], line["quantity"], line["price"]["amount"]) for line in order["lines"]]
    assert sorted(lines, key=str) == sorted(
        [("Stalls-A-1", "Seat", 1, 4500), ("Stalls-A-2", "Seat", 1, 4500), (None, "Standing", 3, 2500)], key=str
    )
    assert order["total"] == {"amount": 16_500, "currency": "EUR", "digits": 2}
    assert order["refunded"] == {"amount": 0, "currency": "EUR", "digits": 2}
    assert order["paid_at"] is None
    assert order["created_at"].endswith("Z")
    assert data(await buyer.get(f"/orders/{order['id']}")) == order
    assert await message_counts(app, order) == {"order.created": 1}


async def test_a_free_order_is_paid_at_once(app: FastAPI, world: World) -> None:
    buyer, _, reservation = await held(world, "Stalls-A-1", price=0)
    order = data(await buyer.post("/orders", body_for(reservation)), 201)
    assert order["status"] == "paid"
    assert order["paid_at"]
    assert data(await buyer.get(f"/orders/{order['id']}")) == order
    assert await message_counts(app, order) == {"order.created": 1, "order.paid": 1}
    assert (await rows(app, "select status from reservations"))[0].status == "confirmed"
    assert len(await rows(app, "select 1 from event_seats where status = 's'")) == 1


async def test_one_order_per_reservation(app: FastAPI, world: World) -> None:
    buyer, _, reservation = await held(world, "Stalls-A-1")
    answers = await asyncio.gather(*(buyer.post("/orders", body_for(reservation)) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    made = next(data(answer, 201) for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            error = refusal(answer, 409)
            assert (error["code"], error["order_id"]) == ("already_ordered", made["id"])
    assert len(await rows(app, "select 1 from orders")) == 1


async def test_a_retry_with_the_same_key_gets_the_same_response(world: World) -> None:
    buyer, _, reservation = await held(world, "Stalls-A-1")
    first, again = [await buyer.post("/orders", body_for(reservation), key="once") for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_an_expired_or_released_hold_cannot_be_ordered(app: FastAPI, world: World) -> None:
    buyer, show, reservation = await held(world, "Stalls-A-1")
    await end_hold(app, reservation["id"], -1)
    assert refusal(await buyer.post("/orders", body_for(reservation)), 409)["code"] == "reservation_expired"
    async with app.state.worker_database.transaction() as session:
        await reservations.expire_due(session)
    assert refusal(await buyer.post("/orders", body_for(reservation)), 409)["code"] == "reservation_expired"
    cancelled = await world.hold(buyer, show, "Stalls-A-2")
    data(await buyer.delete(f"/reservations/{cancelled['id']}"))
    assert refusal(await buyer.post("/orders", body_for(cancelled)), 409)["code"] == "reservation_expired"
    assert await rows(app, "select 1 from orders") == []


async def test_a_hold_for_a_cancelled_event_cannot_be_ordered(world: World) -> None:
    buyer, show, reservation = await held(world, "Stalls-A-1")
    data(await show.tenant.admin.post(show.path("/cancel")))
    assert refusal(await buyer.post("/orders", body_for(reservation)), 422)["code"] == "event_not_on_sale"


async def test_a_hold_can_be_ordered_after_sales_have_ended(app: FastAPI, world: World) -> None:
    buyer, _, reservation = await held(world, "Stalls-A-1")
    await run(app, "update events set sales_end_at = now() - interval '1 s'")
    data(await buyer.post("/orders", body_for(reservation)), 201)


async def test_another_users_hold_is_not_found(world: World) -> None:
    _, _, reservation = await held(world, "Stalls-A-1")
    stranger = await world.person("stranger")
    for one in (reservation, {"id": str(uuid4())}):
        assert refusal(await stranger.post("/orders", body_for(one)), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reservation_id": None}, "reservation_id"),
        ({"reservation_id": "x"}, "reservation_id"),
        ({"buyer": None}, "buyer"),
        ({"buyer": {"name": "Ada"}}, "buyer.email"),
        ({"buyer": {"email": "ada", "name": "Ada"}}, "buyer.email"),
        ({"buyer": {"email": f"{'a' * 300}@example.com", "name": "Ada"}}, "buyer.email"),
        ({"buyer": {"email": "ada@example.com"}}, "buyer.name"),
        ({"buyer": {"email": "ada@example.com", "name": " "}}, "buyer.name"),
        ({"buyer": {"email": "ada@example.com", "name": "a" * 201}}, "buyer.name"),
        ({"buyer": {"email": "ada@example.com", "name": "a\x00b"}}, "buyer.name"),
        ({"buyer": {"email": "ada@example.com", "name": "Ada", "admin": True}}, "buyer.admin"),
        ({"promo_code": "SUMMER"}, "promo_code"),
        ({"promo_code": ""}, "promo_code"),
        ({"promo_code": 7}, "promo_code"),
        ({"total": 1}, "total"),
    ],
)
async def test_bad_input_names_the_field(app: FastAPI, world: World, change: dict, field: str) -> None:
    buyer, _, reservation = await held(world, "Stalls-A-1")
    error = refusal(await buyer.post("/orders", body_for(reservation, **change)), 422)
    assert (error["code"], error["field"]) == ("invalid", field)
    if change == {"promo_code": "SUMMER"}:
        assert error["message"] == "This code is not valid for this event."
    assert await rows(app, "select 1 from orders") == []


async def test_ordering_requires_a_login_and_an_idempotency_key(world: World) -> None:
    buyer, _, reservation = await held(world, "Stalls-A-1")
    keyed = {"Idempotency-Key": "k"}
    refusal(await world.client.post("/api/v1/orders", json=body_for(reservation), headers=keyed), 401)
    missing = refusal(await buyer.request("POST", "/orders", json=body_for(reservation)), 400)
    assert missing["code"] == "idempotency_key_missing"
    refusal(await world.client.get(f"/api/v1/orders/{uuid4()}"), 401)
    refusal(await world.client.get("/api/v1/me/orders"), 401)


async def test_an_unpaid_order_ends_with_its_hold(app: FastAPI, world: World) -> None:
    buyer, show, reservation = await held(world, "Stalls-A-1")
    expired = await world.order(buyer, reservation)
    cancelled = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-2"))
    kept = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-3"))
    await end_hold(app, reservation["id"], -1)
    async with app.state.worker_database.transaction() as session:
        await reservations.expire_due(session)
    data(await buyer.delete(f"/reservations/{cancelled['reservation_id']}"))
    await drain(app)
    states = [data(await buyer.get(f"/orders/{one['id']}"))["status"] for one in (expired, cancelled, kept)]
    assert states == ["expired", "cancelled", "pending"]
    assert (await message_counts(app, expired))["order.expired"] == 1
    assert (await message_counts(app, cancelled))["order.cancelled"] == 1


async def test_an_expired_hold_without_an_order_is_no_error(app: FastAPI, world: World) -> None:
    _, _, reservation = await held(world, "Stalls-A-1")
    await end_hold(app, reservation["id"], -1)
    async with app.state.worker_database.transaction() as session:
        assert await reservations.expire_due(session) == 1
    await drain(app)
    assert await rows(app, "select 1 from dead_letters") == []


async def test_a_taken_reference_is_not_used_again(app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    symbols = iter("A" * 16 + "B" * 8)
    monkeypatch.setattr(secrets, "choice", lambda _: next(symbols))
    show = await world.show(rows=1, seats=4)
    buyer = await world.person("buyer")
    first = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    second = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-2"))
    assert (first["reference"], second["reference"]) == ("AAAA-AAAA", "BBBB-BBBB")
    assert await message_counts(app, second) == {"order.created": 1}
    assert [line["seat"] for line in data(await buyer.get(f"/orders/{second['id']}"))["lines"]] == ["Stalls-A-2"]
