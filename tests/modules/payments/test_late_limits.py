"""Money for holds that were given back or have run out buys no more than its buyer could have held at that moment."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import end_hold, order_of, order_with_payment, payment_of, rows, run
from tests.modules.reservations.limited_buyer import left, limited, post_hold
from tests.support.drain import drain
from tests.support.platform import eventually
from tests.support.world import API, PASSWORD, Person, Show, World, data, refusal

Purchase = tuple[dict[str, Any], dict[str, Any]]


async def start_purchase(world: World, show: Show, buyer: Person, places: int) -> Purchase:
    """Return an order of standing places, and its open payment."""
    items = [{"ticket_type_id": show.area_type_id, "quantity": places}]
    _, order, payment = await order_with_payment(world, show, buyer=buyer, items=items)
    return order, payment


async def pay_all_at_once(world: World, buyer: Person, purchases: list[Purchase]) -> Counter[tuple[str, str]]:
    """Send all webhooks at the same time, and count the statuses of the payments with the reason of the refund."""
    for answer in await asyncio.gather(*[world.webhook("payment.succeeded", payment) for _, payment in purchases]):
        data(answer)
    seen = [await payment_of(buyer, payment) for _, payment in purchases]
    return Counter((one["status"], one["refunds"][0]["reason"] if one["refunds"] else "") for one in seen)


async def sold(app: FastAPI) -> int:
    return int((await rows(app, "select sum(sold) from ticket_types"))[0][0])


async def test_holds_that_were_given_back_and_are_paid_later_buy_nothing(app: FastAPI, world: World) -> None:
    show, buyer = await limited(world, 2), await world.person()
    purchases = []
    for _ in range(5):
        purchases.append(await start_purchase(world, show, buyer, 2))
        data(await buyer.delete(f"/reservations/{purchases[-1][0]['reservation_id']}"))
    counts = await pay_all_at_once(world, buyer, purchases)
    assert counts == {("refunded", "The seats had been given back before the money came."): 5}
    assert await sold(app) == 0
    data(await post_hold(buyer, show, 2), 201)


@pytest.mark.parametrize("is_by_address", [False, True])
async def test_holds_that_ran_out_and_are_paid_at_once_stay_within_the_limit(
    app: FastAPI, world: World, is_by_address: bool
) -> None:
    """By one account, or by four accounts that order for one address."""
    show, first = await limited(world, 2), await world.person()
    purchases, buyers = [], []
    for n in range(4):
        buyer = await world.person() if is_by_address and n else first
        buyers.append(buyer)
        held = data(await post_hold(buyer, show, 2), 201)
        body = {"reservation_id": held["id"], "buyer": {"email": first.email, "name": "Ada Byron"}}
        order = data(await buyer.post("/orders", body), 201)
        purchases.append((order, await world.payment(buyer, order)))
        await end_hold(app, held["id"], -1)
    for answer in await asyncio.gather(*[world.webhook("payment.succeeded", payment) for _, payment in purchases]):
        data(answer)
    seen = [await payment_of(buyer, payment) for buyer, (_, payment) in zip(buyers, purchases, strict=True)]
    assert sorted(one["status"] for one in seen) == ["refunded"] * 3 + ["succeeded"]
    assert all("as one person may" in one["refunds"][0]["reason"] for one in seen if one["refunds"])
    assert await sold(app) == 2
    await drain(app)
    statuses = [(await order_of(buyer, order))["status"] for buyer, (order, _) in zip(buyers, purchases, strict=True)]
    assert sorted(statuses) == ["expired"] * 3 + ["paid"]


async def test_late_money_counts_the_holds_that_are_running(app: FastAPI, world: World) -> None:
    show, buyer = await limited(world, 4), await world.person()
    order, payment = await start_purchase(world, show, buyer, 3)
    await end_hold(app, order["reservation_id"], -1)
    data(await post_hold(buyer, show, 2), 201)
    data(await world.webhook("payment.succeeded", payment))
    assert (await payment_of(buyer, payment))["status"] == "refunded"
    assert await left(buyer, show) == 2


async def test_money_that_waited_past_the_end_of_its_hold_is_counted_again(app: FastAPI, world: World) -> None:
    """The webhook began while the hold was running. Meanwhile the buyer held the same allowance again."""
    show, buyer = await limited(world, 2), await world.person()
    order, payment = await start_purchase(world, show, buyer, 2)
    await end_hold(app, order["reservation_id"], 1.5)
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("select from orders where id = :id for update"), {"id": order["id"]})
        waiting = asyncio.create_task(world.webhook("payment.succeeded", payment))
        lapsed = "select 1 from reservations where status = 'active' and expires_at < now()"
        await eventually(lambda: rows(app, lapsed))
        data(await post_hold(buyer, show, 2), 201)
    data(await waiting)
    assert (await payment_of(buyer, payment))["status"] == "refunded"
    assert await sold(app) == 0


@pytest.mark.parametrize(("seconds", "status"), [(60, "succeeded"), (-1, "refunded")])
async def test_after_the_sale_has_ended_only_a_running_hold_can_be_paid(
    app: FastAPI, world: World, seconds: int, status: str
) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    await end_hold(app, order["reservation_id"], seconds)
    await run(app, "update events set sales_end_at = now()")
    data(await world.webhook("payment.succeeded", payment))
    paid = await payment_of(buyer, payment)
    assert paid["status"] == status
    assert [one["reason"] for one in paid["refunds"]] == (
        [] if status == "succeeded" else ["The money came after the hold had run out, and the sale had ended."]
    )


async def registered(world: World, email: str) -> Person:
    answer = data(await world.client.post(f"{API}/auth/register", json={"email": email, "password": PASSWORD}), 201)
    return Person(world.client, answer["user"]["id"], email, answer["access_token"], answer["refresh_token"])


async def test_an_erased_account_that_comes_again_has_no_new_allowance(app: FastAPI, world: World) -> None:
    show, buyer, friend = await limited(world, 2), await world.person(), "friend@example.com"
    held = data(await post_hold(buyer, show, 2), 201)
    body = {"reservation_id": held["id"], "buyer": {"email": friend, "name": "Ada Byron"}}
    data(
        await world.webhook(
            "payment.succeeded", await world.payment(buyer, data(await buyer.post("/orders", body), 201))
        )
    )
    await drain(app)
    data(await buyer.post("/me/erase", {"password": PASSWORD, "give_up_tickets": True}))
    await drain(app)

    again, third = await registered(world, buyer.email), await world.person()
    assert refusal(await post_hold(again, show, 1), 422)["left"] == 0
    held = data(await post_hold(third, show, 1), 201)
    body = {"reservation_id": held["id"], "buyer": {"email": friend, "name": "Ada Byron"}}
    assert refusal(await third.post("/orders", body), 422)["field"] == "buyer.email"

    known = "select 1 from {} where user_id = :id and buyer_identity is not null"
    assert [len(await rows(app, known.format(name), id=buyer.id)) for name in ("orders", "reservations")] == [1, 1]
    data(await show.tenant.admin.post(show.path("/cancel")))
    await drain(app)
    assert [len(await rows(app, known.format(name), id=buyer.id)) for name in ("orders", "reservations")] == [0, 0]
    # The digest of a person who was not erased stays.
    assert len(await rows(app, known.format("reservations"), id=third.id)) == 1
