"""Concurrent requests for one reservation."""

import asyncio
from datetime import datetime

from fastapi import FastAPI

from tests.support.drain import drain
from tests.support.world import World, data, refusal
from ticketing import invariants


async def test_ten_extensions_at_once_extend_once(world: World) -> None:
    show, buyer = await world.show(seats=2, rows=1, hold_seconds=120), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    answers = await asyncio.gather(*[buyer.post(f"/reservations/{held['id']}/extend") for _ in range(10)])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert {refusal(a, 409)["code"] for a in answers if a.status_code == 409} == {"extension_limit"}
    until = data(await buyer.get(f"/reservations/{held['id']}"))["expires_at"]
    added = datetime.fromisoformat(until) - datetime.fromisoformat(held["expires_at"])
    assert added.total_seconds() == 120


async def test_cancelling_and_paying_at_once_end_consistently(app: FastAPI, world: World) -> None:
    """Either order ends consistently: a ticket and no refund, or a refund and no ticket."""
    show, buyer = await world.show(seats=12, rows=1), await world.person()

    async def cancel_and_pay(seat: str) -> None:
        held = await world.hold(buyer, show, seat)
        payment = await world.payment(buyer, await world.order(buyer, held))
        paid, _ = await asyncio.gather(
            world.webhook("payment.succeeded", payment), buyer.delete(f"/reservations/{held['id']}")
        )
        assert paid.status_code == 200

    for seat in show.labels:
        await cancel_and_pay(seat)
    await drain(app)
    async with app.state.worker_database.transaction() as session:
        assert [v for v in await invariants.check(session) if v.count] == []


async def test_ten_cancellations_at_once_release_the_places_once(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=0, capacity=5), await world.person()
    held = await world.hold(buyer, show, items=[{"ticket_type_id": show.area_type_id, "quantity": 2}])
    answers = await asyncio.gather(*[buyer.delete(f"/reservations/{held['id']}") for _ in range(10)])
    assert {answer.status_code for answer in answers} == {200}
    async with app.state.worker_database.transaction() as session:
        assert [v for v in await invariants.check(session) if v.count] == []
