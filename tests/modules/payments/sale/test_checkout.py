"""An order and its payment in one request."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import message_counts, rows
from tests.modules.payments.slow_provider import SlowProvider, slow
from tests.support.world import Person, World, data, refusal

__all__ = ["slow"]


async def _wanted(world: World, buyer: Person, **show: Any) -> dict[str, Any]:
    reservation = await world.hold(buyer, await world.show(rows=1, seats=2, **show), "Stalls-A-1")
    address = {"email": buyer.email, "name": "Ada Byron"}
    return {"reservation_id": reservation["id"], "buyer": address, "provider": "mock"}


async def test_one_request_makes_an_order_and_starts_its_payment(app: FastAPI, world: World) -> None:
    buyer = await world.person("buyer")
    made = data(await buyer.post("/checkout", await _wanted(world, buyer)), 201)
    order, payment = made["order"], made["payment"]
    assert data(await buyer.get(f"/orders/{order['id']}")) == order
    assert data(await buyer.get(f"/payments/{payment['id']}")) == payment
    assert (order["status"], payment["order_id"]) == ("pending", order["id"])
    counts = await message_counts(app, order)
    assert (counts["order.created"], counts["payment.created"]) == (1, 1)


async def test_a_free_order_has_no_payment(world: World) -> None:
    buyer = await world.person("buyer")
    made = data(await buyer.post("/checkout", await _wanted(world, buyer, price=0)), 201)
    assert (made["order"]["status"], made["payment"]) == ("paid", None)


@pytest.mark.parametrize("price", [4500, 0])
async def test_a_retry_gets_the_same_bytes(world: World, price: int) -> None:
    buyer = await world.person("buyer")
    wanted = await _wanted(world, buyer, price=price)
    first, again = [await buyer.post("/checkout", wanted, key="once") for _ in range(2)]
    assert (first.status_code, first.content) == (201, again.content)
    assert ("Idempotency-Replayed" in first.headers, again.headers["Idempotency-Replayed"]) == (False, "true")
    other = {**wanted, "buyer": {**wanted["buyer"], "name": "Mary Shelley"}}
    assert refusal(await buyer.post("/checkout", other, key="once"), 422)["code"] == "idempotency_mismatch"


async def test_retries_at_once_make_one_order_and_one_payment(app: FastAPI, world: World) -> None:
    buyer = await world.person("buyer")
    wanted = await _wanted(world, buyer)
    found = await asyncio.gather(*(buyer.post("/checkout", wanted, key="once") for _ in range(20)))
    assert {response.status_code for response in found} <= {201, 409}
    for response in found:
        if response.status_code == 409:
            assert refusal(response, 409)["code"] == "idempotency_in_flight"
    assert data(await buyer.post("/checkout", wanted, key="once"), 201)["payment"]["status"] == "pending"
    assert [len(await rows(app, f"select 1 from {table}")) for table in ("orders", "payments")] == [1, 1]


async def test_a_refused_order_is_refused_again(world: World) -> None:
    ada, bob = await world.person("ada"), await world.person("bob")
    wanted = await _wanted(world, ada)
    refusal(await bob.post("/checkout", wanted), 404)
    order = data(await ada.post("/checkout", wanted, key="first"), 201)["order"]
    refused = [await ada.post("/checkout", wanted, key="second") for _ in range(2)]
    assert refusal(refused[0], 409)["order_id"] == order["id"]
    assert refused[1].json()["errors"] == refused[0].json()["errors"]


async def test_a_retry_goes_on_where_the_provider_failed(app: FastAPI, world: World, slow: SlowProvider) -> None:
    buyer = await world.person("buyer")
    wanted = {**await _wanted(world, buyer), "provider": "stripe"}
    slow.is_down = True
    refusal(await buyer.post("/checkout", wanted, key="once"), 503)
    slow.is_down = False
    made = data(await buyer.post("/checkout", wanted, key="once"), 201)
    assert (made["order"]["status"], made["payment"]["provider"]) == ("pending", "stripe")
    assert len(set(slow.calls)) == 1, "both attempts opened the same payment"
    assert [len(await rows(app, f"select 1 from {table}")) for table in ("orders", "payments")] == [1, 1]
