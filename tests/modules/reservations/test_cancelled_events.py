"""A cancelled event ends its holds and the orders made of them, in batches, and extends none."""

from uuid import uuid4

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import message_counts, order_of, order_with_payment, payment_of, rows, run
from tests.support.drain import drain
from tests.support.world import World, data, refusal
from ticketing.infra.config import Settings
from ticketing.modules import reservations
from ticketing.workers import scheduler


async def test_the_holds_of_a_cancelled_event_end_and_their_orders_expire(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4, capacity=10)
    kept = await world.show(show.tenant, rows=1, seats=1)
    places = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1", items=places)
    paid = await world.buy(await world.person(), show, "Stalls-A-2")
    bare = await world.hold(buyer, show, "Stalls-A-3")
    other = await world.hold(buyer, kept, "Stalls-A-1")
    data(await show.tenant.admin.post(show.path("/cancel")))

    settings, job = app.state.get(Settings), scheduler.JOBS["end_cancelled_holds"][0]
    assert await scheduler.run_job("end_cancelled_holds", job, settings, app.state.worker_database) == 2
    await drain(app)
    assert data(await buyer.get(f"/reservations/{bare['id']}"))["status"] == "expired"
    assert data(await buyer.get(f"/reservations/{other['id']}"))["status"] == "active"
    assert (await order_of(buyer, order))["status"] == "expired"
    assert (await payment_of(buyer, payment))["status"] == "cancelled"
    counts = await message_counts(app, order)
    assert (counts["order.expired"], counts["payment.cancelled"]) == (1, 1)
    assert (await rows(app, "select status from orders where id = :id", id=paid["id"]))[0].status == "paid"
    left = "select sum(held) from ticket_types union all select count(*) from event_seats where status = 'h'"
    assert [int(row[0]) for row in await rows(app, left)] == [0, 1]

    data(await world.webhook("payment.succeeded", payment))
    returned = await payment_of(buyer, payment)
    assert returned["status"] == "refunded"
    assert returned["refunds"][0]["reason"] == "The event is no longer taking place as announced."


async def test_a_large_event_is_cancelled_in_bounded_transactions(app: FastAPI, world: World) -> None:
    show = await world.show(seats=0, capacity=100)
    buyer = await world.person()
    items = [{"ticket_type_id": show.area_type_id, "quantity": 1}]
    for _ in range(5):
        await world.hold(buyer, show, items=items)
    data(await show.tenant.admin.post(show.path("/cancel")))
    ended = []
    for _ in range(4):
        async with app.state.worker_database.transaction() as session:
            ended.append(await reservations.end_holds_of_cancelled_events(session, limit=2))
    assert ended == [2, 2, 1, 0]
    assert [row.held for row in await rows(app, "select held from ticket_types")] == [0]


@pytest.mark.parametrize("change", ["status = 'cancelled'", "sales_end_at = now()"])
async def test_no_hold_is_extended_after_the_sale(app: FastAPI, world: World, change: str) -> None:
    show, buyer = await world.show(rows=1, seats=1), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    await run(app, f"update events set {change} where id = :id", id=show.id)
    error = refusal(await buyer.post(f"/reservations/{held['id']}/extend", key=uuid4().hex), 422)
    assert error["code"] == "event_not_on_sale"
    kept = data(await buyer.get(f"/reservations/{held['id']}"))
    assert (kept["expires_at"], kept["extensions_left"]) == (held["expires_at"], held["extensions_left"])
