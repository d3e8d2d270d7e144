"""Payments that arrive at the last second, after it, or twice: they buy the seats or are refunded."""

import asyncio

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import (
    end_hold,
    message_counts,
    order_of,
    order_with_payment,
    payment_of,
    rows,
    run,
)
from tests.support.drain import drain
from tests.support.world import World, data, refusal
from ticketing.modules import reservations


async def sweep(app: FastAPI) -> None:
    """Run the scheduler's expiry and consume all messages."""
    async with app.state.worker_database.transaction() as session:
        await reservations.expire_due(session)
    await drain(app)


async def test_a_payment_one_second_before_expiry_pays_even_if_consumers_run_late(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    await end_hold(app, order["reservation_id"], 1)
    data(await world.webhook("payment.succeeded", payment))
    await asyncio.sleep(1.1)
    await sweep(app)
    assert (await order_of(buyer, order))["status"] == "paid"
    assert (await rows(app, "select status from reservations"))[0].status == "confirmed"
    assert len(await rows(app, "select 1 from event_seats where status = 's'")) == 1


@pytest.mark.parametrize("is_swept", [False, True])
async def test_a_payment_one_second_after_expiry_takes_the_seats_if_they_are_free(
    app: FastAPI, world: World, is_swept: bool
) -> None:
    show = await world.show(rows=1, seats=2, capacity=5)
    places = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1", items=places)
    await end_hold(app, order["reservation_id"], -1)
    if is_swept:
        await sweep(app)
        assert (await order_of(buyer, order))["status"] == "expired"
    data(await world.webhook("payment.succeeded", payment))
    await sweep(app)
    assert (await order_of(buyer, order))["status"] == "paid"
    assert (await payment_of(buyer, payment))["status"] == "succeeded"
    counters = (await rows(app, "select held, sold from ticket_types where capacity is not null"))[0]
    assert tuple(counters) == (0, 2)
    refusal(await (await world.person()).post("/reservations", {"event_id": show.id, "seats": ["Stalls-A-1"]}), 409)


async def test_a_late_payment_takes_places_of_a_lapsed_hold_that_was_not_swept(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=1, capacity=2)
    places = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    buyer, order, payment = await order_with_payment(world, show, items=places)
    await end_hold(app, order["reservation_id"], -1)
    await sweep(app)
    lapsed = await world.hold(await world.person(), show, items=places)
    await end_hold(app, lapsed["id"], -1)
    data(await world.webhook("payment.succeeded", payment))
    assert (await order_of(buyer, order))["status"] == "paid"
    counters = (await rows(app, "select held, sold from ticket_types where capacity is not null"))[0]
    assert tuple(counters) == (0, 2)


@pytest.mark.parametrize("is_swept", [False, True])
async def test_a_late_payment_for_seats_that_are_gone_is_refunded_in_full(
    app: FastAPI, world: World, is_swept: bool
) -> None:
    show = await world.show(rows=1, seats=3)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1", "Stalls-A-2")
    await end_hold(app, order["reservation_id"], -1)
    if is_swept:
        await sweep(app)
    lucky, lucky_order, lucky_payment = await order_with_payment(world, show, "Stalls-A-2", "Stalls-A-3")
    data(await world.webhook("payment.succeeded", payment))
    await drain(app)

    assert (await order_of(buyer, order))["status"] == "expired"
    assert (await order_of(buyer, order))["refunded"]["amount"] == 0
    seen = data(await buyer.get(f"/orders/{order['id']}/payments"))
    assert [(p["status"], p["refunded"]["amount"]) for p in seen] == [("refunded", 9000)]
    assert [(r["status"], r["amount"]["amount"]) for r in seen[0]["refunds"]] == [("succeeded", 9000)]
    assert "somebody else" in seen[0]["refunds"][0]["reason"]
    counts = await message_counts(app, order)
    assert counts["payment.returned"] == counts["refund.requested"] == counts["refund.succeeded"] == 1
    assert counts["order.expired"] == 1
    assert not counts.keys() & {"order.paid", "payment.succeeded", "order.refunded"}
    # The other buyer is not affected.
    data(await world.webhook("payment.succeeded", lucky_payment))
    assert (await order_of(lucky, lucky_order))["status"] == "paid"
    free = await rows(app, "select label from event_seats where status = 'a'")
    assert [row.label for row in free] == ["Stalls-A-1"]


async def test_a_late_payment_and_a_new_buyer_never_share_a_seat(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=8)
    rival = await world.person("rival")
    for label in show.labels:
        buyer, order, payment = await order_with_payment(world, show, label)
        await end_hold(app, order["reservation_id"], -1)
        hold, _ = await asyncio.gather(
            rival.post("/reservations", {"event_id": show.id, "seats": [label]}),
            world.webhook("payment.succeeded", payment),
        )
        status = (await order_of(buyer, order))["status"]
        paid = (await payment_of(buyer, payment))["status"]
        assert (hold.status_code, status, paid) in {(409, "paid", "succeeded"), (201, "expired", "refunded")}


async def test_a_second_payment_is_refunded(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, first = await order_with_payment(world, show, "Stalls-A-1")
    data(await world.webhook("payment.failed", first))
    second = await world.payment(buyer, order)
    assert second["id"] != first["id"]
    data(await world.webhook("payment.succeeded", first))
    assert (await payment_of(buyer, second))["status"] == "superseded"
    data(await world.webhook("payment.succeeded", second))
    await drain(app)
    assert (await payment_of(buyer, first))["status"] == "succeeded"
    returned = await payment_of(buyer, second)
    assert (returned["status"], returned["refunds"][0]["status"]) == ("refunded", "succeeded")
    assert "already" in returned["refunds"][0]["reason"]
    now = await order_of(buyer, order)
    assert (now["status"], now["refunded"]["amount"]) == ("paid", 0)
    counts = await message_counts(app, order)
    assert counts["order.paid"] == counts["payment.superseded"] == counts["payment.returned"] == 1


async def test_two_concurrent_payments_pay_an_order_once(app: FastAPI, world: World) -> None:
    show = await world.show(rows=2, seats=10)
    buyer = await world.person("buyer")
    for label in show.labels:
        _, order, first = await order_with_payment(world, show, label, buyer=buyer)
        data(await world.webhook("payment.failed", first))
        second = await world.payment(buyer, order)
        await asyncio.gather(*(world.webhook("payment.succeeded", one) for one in (first, second)))
        states = sorted([(await payment_of(buyer, one))["status"] for one in (first, second)])
        assert states == ["refunded", "succeeded"]
        counts = await message_counts(app, order)
        assert counts["order.paid"] == counts["refund.requested"] == 1


async def test_a_payment_for_a_cancelled_event_is_refunded(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    data(await show.tenant.admin.post(show.path("/cancel")))
    data(await world.webhook("payment.succeeded", payment))
    await drain(app)
    assert (await order_of(buyer, order))["status"] == "cancelled"
    returned = await payment_of(buyer, payment)
    assert (returned["status"], returned["refunds"][0]["status"]) == ("refunded", "succeeded")
    assert (await message_counts(app, order))["order.cancelled"] == 1


@pytest.mark.parametrize("is_drained", [False, True])
async def test_a_payment_for_a_released_hold_is_refunded_even_if_its_seats_are_free(
    app: FastAPI, world: World, is_drained: bool
) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    data(await buyer.delete(f"/reservations/{order['reservation_id']}"))
    if is_drained:
        await drain(app)
        assert (await payment_of(buyer, payment))["status"] == "cancelled"
        assert (await message_counts(app, order))["payment.cancelled"] == 1
        page = await world.client.post(payment["checkout_url"], data={"action": "pay"})
        assert (page.status_code, "was cancelled" in page.text) == (409, True)
    data(await world.webhook("payment.succeeded", payment))
    assert (await order_of(buyer, order))["status"] == "cancelled"
    returned = await payment_of(buyer, payment)
    assert (returned["status"], "given back" in returned["refunds"][0]["reason"]) == ("refunded", True)
    assert await rows(app, "select 1 from event_seats where status <> 'a'") == []


async def test_the_database_rejects_a_second_successful_payment(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, first = await order_with_payment(world, show, "Stalls-A-1")
    data(await world.webhook("payment.failed", first))
    second = await world.payment(buyer, order)
    data(await world.webhook("payment.succeeded", first))
    with pytest.raises(Exception, match="uq_payments_one_success"):
        await run(app, "update payments set status = 'succeeded' where id = :id", id=second["id"])


@pytest.mark.parametrize(
    "fault",
    [
        "update event_seats set status = 'a', reservation_id = null, held_until = null where label = 'Stalls-A-2'",
        "update ticket_types set held = 1 where capacity is not null",
    ],
    ids=["a seat", "a place"],
)
async def test_a_payment_for_a_corrupted_hold_is_refunded_and_sells_nothing(
    app: FastAPI, world: World, fault: str
) -> None:
    show = await world.show(rows=1, seats=2, capacity=5)
    places = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1", "Stalls-A-2", items=places)
    await run(app, fault)
    data(await world.webhook("payment.succeeded", payment))
    assert (await order_of(buyer, order))["status"] == "expired"
    assert (await payment_of(buyer, payment))["status"] == "refunded"
    assert await rows(app, "select 1 from event_seats where status = 's'") == []
    assert await rows(app, "select 1 from ticket_types where sold > 0") == []
    assert await rows(app, "select 1 from reservation_items where is_confirmed") == []
    counts = await message_counts(app, order)
    assert set(counts) == {"order.created", "payment.created", "order.expired", "payment.returned", "refund.requested"}


async def test_a_payment_for_a_seat_that_a_fault_sold_twice_is_refunded(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    other, others_order, others_payment = await order_with_payment(world, show, "Stalls-A-2")
    data(await world.webhook("payment.succeeded", others_payment))
    await run(app, "update event_seats set status = 'a', reservation_id = null, held_until = null where number = 0")
    await run(app, "update reservation_items set seat_number = 0 where is_confirmed")
    data(await world.webhook("payment.succeeded", payment))
    assert (await order_of(buyer, order))["status"] == "expired"
    assert (await payment_of(buyer, payment))["status"] == "refunded"
    assert (await order_of(other, others_order))["status"] == "paid"
