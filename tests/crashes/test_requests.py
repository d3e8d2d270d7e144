"""An API process dies after its commit: the client gets no response, retries, and gets the first response."""

from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.crashes.processes import Processes
from tests.modules.payments.purchases import message_counts, rows
from tests.support.world import API, Person, World, data


async def request_in_vain(processes: Processes, buyer: Person, path: str, body: dict[str, Any], key: str) -> None:
    """Send a request to the process that is about to die; there is no response."""
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{processes.port}") as client:
        headers = {"Authorization": f"Bearer {buyer.token}", "Idempotency-Key": key}
        with pytest.raises(httpx2.TransportError):
            await client.post(f"{API}{path}", json=body, headers=headers)


async def test_an_order_whose_response_was_lost_is_not_placed_twice(
    app: FastAPI, world: World, processes: Processes
) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    reservation = await world.hold(buyer, show, "Stalls-A-1")
    body = {"reservation_id": reservation["id"], "buyer": {"email": buyer.email, "name": "Ada Byron"}}
    process = await processes.api("after_commit_before_ack")
    await request_in_vain(processes, buyer, "/orders", body, "order once")
    await processes.wait_for_crash(process)
    again = await buyer.post("/orders", body, key="order once")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert [str(row.id) for row in await rows(app, "select id from orders")] == [again.json()["data"]["id"]]


async def test_holds_whose_responses_were_lost_are_not_made_twice(
    app: FastAPI, world: World, processes: Processes
) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    process = await processes.api("after_batch_before_answers")
    await request_in_vain(processes, buyer, "/reservations", body, "hold once")
    await processes.wait_for_crash(process)
    again = await buyer.post("/reservations", body, key="hold once")
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert [str(row.id) for row in await rows(app, "select id from reservations")] == [again.json()["data"]["id"]]


@pytest.mark.parametrize(
    ("point", "key"), [("after_payment_before_start", "pay again"), ("after_start_before_record", "pay once")]
)
async def test_a_payment_whose_process_died_around_the_providers_answer_is_continued(
    app: FastAPI, world: World, processes: Processes, point: str, key: str
) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    body = {"order_id": order["id"], "provider": "mock"}
    process = await processes.api(point)
    await request_in_vain(processes, buyer, "/payments", body, "pay once")
    await processes.wait_for_crash(process)
    ((reserved, ref),) = await rows(app, "select id, provider_ref from payments")
    assert ref is None
    payment = data(await buyer.post("/payments", body, key=key), 201)
    assert payment["id"] == str(reserved), "the same id, hence the same idempotency key towards the provider"
    data(await world.webhook("payment.succeeded", payment))
    assert [tuple(row) for row in await rows(app, "select id, status from payments")] == [(reserved, "succeeded")]
    assert await message_counts(app, order) == {
        "order.created": 1,
        "payment.created": 1,
        "order.paid": 1,
        "payment.succeeded": 1,
    }
