"""Starting a payment: one open payment per order, visible to the buyer and to staff."""

import asyncio
from uuid import uuid4

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import end_hold, message_counts, order_of, order_with_payment, payment_of, rows
from tests.support.world import World, data, refusal


async def test_a_payment_has_a_checkout_url(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1", "Stalls-A-2")
    assert payment["order_id"] == order["id"]
    assert (payment["provider"], payment["status"]) == ("mock", "pending")
    assert payment["amount"] == {"amount": 9000, "currency": "EUR", "digits": 2}
    assert payment["checkout_url"] == f"http://test/mock-pay/{payment['provider_ref']}"
    assert payment["client_secret"] is None
    assert await payment_of(buyer, payment) == payment
    assert (await message_counts(app, order))["payment.created"] == 1


async def test_a_second_request_returns_the_open_payment(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    assert await world.payment(buyer, order) == payment
    assert (await message_counts(app, order))["payment.created"] == 1


async def test_twenty_concurrent_requests_open_one_payment(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    opened = await asyncio.gather(*(world.payment(buyer, order) for _ in range(20)))
    assert len({payment["id"] for payment in opened}) == 1
    assert len(await rows(app, "select 1 from payments")) == 1
    assert (await message_counts(app, order))["payment.created"] == 1


async def test_a_retry_with_the_same_key_gets_the_same_response(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    body = {"order_id": order["id"], "provider": "mock"}
    first, again = [await buyer.post("/payments", body, key="once") for _ in range(2)]
    assert first.content == again.content
    assert again.headers["Idempotency-Replayed"] == "true"


async def test_a_paid_order_is_not_paid_again(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await world.buy(buyer, show, "Stalls-A-1")
    assert refusal(await start(buyer, order), 409)["code"] == "already_paid"


async def test_a_free_order_is_paid_already(world: World) -> None:
    show = await world.show(rows=1, seats=2, price=0)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    assert refusal(await start(buyer, order), 409)["code"] == "already_paid"


async def test_a_new_payment_equals_what_is_read_later(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    assert data(await buyer.get(f"/payments/{payment['id']}")) == payment
    assert data(await start(buyer, order), 201) == payment


async def test_a_lapsed_hold_cannot_be_paid(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, _ = await order_with_payment(world, show, "Stalls-A-1")
    await end_hold(app, order["reservation_id"], -1)
    assert refusal(await start(buyer, order), 409)["code"] == "reservation_expired"


async def test_an_order_for_a_cancelled_event_cannot_be_paid(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, _ = await order_with_payment(world, show, "Stalls-A-1")
    data(await show.tenant.admin.post(show.path("/cancel")))
    assert refusal(await start(buyer, order), 422)["code"] == "event_not_on_sale"


async def test_another_buyers_order_is_not_found(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    _, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    stranger = await world.person("stranger")
    unknown = {"id": str(uuid4())}
    for one in (order, unknown):
        assert refusal(await start(stranger, one), 404)["code"] == "not_found"
        refusal(await stranger.get(f"/orders/{one['id']}/payments"), 404)
    refusal(await stranger.get(f"/payments/{payment['id']}"), 404)
    refusal(await stranger.get(f"/payments/{uuid4()}"), 404)


async def test_staff_of_the_organization_read_a_payment_and_others_do_not(world: World) -> None:
    tenant = await world.tenant()
    show = await world.show(tenant, rows=1, seats=2)
    _, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    staff = await world.member(tenant, "ORG_STAFF")
    assert data(await staff.get(f"/payments/{payment['id']}"))["id"] == payment["id"]
    assert len(data(await staff.get(f"/orders/{order['id']}/payments"))) == 1
    for outsider in (await world.member(tenant, "ORG_SCANNER"), (await world.tenant()).admin):
        refusal(await outsider.get(f"/payments/{payment['id']}"), 404)
        refusal(await outsider.get(f"/orders/{order['id']}/payments"), 404)


async def test_paying_requires_a_login_and_an_idempotency_key(world: World) -> None:
    buyer = await world.person()
    body = {"order_id": str(uuid4()), "provider": "mock"}
    refusal(await world.client.post("/api/v1/payments", json=body, headers={"Idempotency-Key": "k"}), 401)
    refusal(await world.client.get(f"/api/v1/payments/{uuid4()}"), 401)
    missing = refusal(await buyer.request("POST", "/payments", json=body), 400)
    assert missing["code"] == "idempotency_key_missing"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": None}, "order_id"),
        ({"order_id": "7F3K-9QXM"}, "order_id"),
        ({"order_id": 7}, "order_id"),
        ({"provider": None}, "provider"),
        ({"provider": "paypal"}, "provider"),
        ({"provider": "stripe"}, "provider"),
        ({"provider": ["mock"]}, "provider"),
        ({"amount": 1}, "amount"),
    ],
)
async def test_bad_input_names_the_field(app: FastAPI, world: World, change: dict, field: str) -> None:
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    body = {"order_id": order["id"], "provider": "mock", **change}
    error = refusal(await buyer.post("/payments", body), 422)
    assert (error["code"], error["field"]) == ("invalid", field)
    assert await rows(app, "select 1 from payments") == []
    assert (await order_of(buyer, order))["status"] == "pending"


async def start(buyer, order):  # type: ignore[no-untyped-def]
    return await buyer.post("/payments", {"order_id": order["id"], "provider": "mock"})
