"""Whatever can be ordered can be paid and refunded: prices and quantities around the largest amount of a payment."""

from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.modules.payments.purchases import order_of, rows
from tests.support.drain import drain
from tests.support.world import Person, Show, World, data, refusal
from ticketing.infra.formats.currencies import digits_of
from ticketing.infra.http.fields import AMOUNT_MAX

#: Largest integer that JavaScript, and so every page, represents exactly: `Number.MAX_SAFE_INTEGER`.
JAVASCRIPT_MAX = 2**53 - 1

prices = st.sampled_from([0, 1, AMOUNT_MAX // 1000, AMOUNT_MAX // 1000 + 1, AMOUNT_MAX // 2, AMOUNT_MAX])
quantities = st.sampled_from([1, 2, 3, 999, 1000])
baskets = st.lists(st.tuples(prices | st.integers(0, AMOUNT_MAX), quantities), min_size=1, max_size=3)
#: ISO 4217: no, two and three decimals.
currencies = st.sampled_from(["JPY", "EUR", "BHD"])


@given(baskets.filter(lambda basket: sum(quantity for _, quantity in basket) <= 1000), currencies)
@example([(AMOUNT_MAX // 1000, 1000)], "BHD")
@example([(AMOUNT_MAX // 1000 + 1, 1000)], "EUR")
@example([(AMOUNT_MAX, 1)], "JPY")
@example([(AMOUNT_MAX, 1), (1, 1)], "EUR")
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_can_be_ordered_can_be_paid_and_refunded(
    app: FastAPI, world: World, basket: list[tuple[int, int]], currency: str
) -> None:
    show = await world.show(seats=0, capacity=1, currency=currency, max_per_order=1000)
    buyer = await world.person("buyer")
    items = [{"ticket_type_id": await _sell(show, price), "quantity": n} for price, n in basket]
    total = sum(price * n for price, n in basket)
    held = await buyer.post("/reservations", {"event_id": show.id, "items": items})
    if total > AMOUNT_MAX:
        error = refusal(held, 422)
        assert (error["code"], error["field"]) == ("limit_exceeded", "items")
        assert (error["limit"], error["total"]) == (
            {"amount": AMOUNT_MAX, "currency": currency, "digits": digits_of(currency)},
            {"amount": total, "currency": currency, "digits": digits_of(currency)},
        )
        left = await rows(app, "select sum(held) as held from ticket_types where event_id = :id", id=show.id)
        assert left[0].held == 0
        return
    order = await world.order(buyer, data(held, 201))
    assert order["total"]["amount"] == total <= AMOUNT_MAX < JAVASCRIPT_MAX
    if total:
        await _pay_and_refund(app, world, buyer, show, order)


async def _sell(show: Show, price: int) -> Any:
    body = {"name": uuid4().hex, "price": price, "capacity": 1000}
    return data(await show.tenant.admin.post(show.path("/ticket-types"), body), 201)["id"]


async def _pay_and_refund(app: FastAPI, world: World, buyer: Person, show: Show, order: Any) -> None:
    payment = await world.payment(buyer, order)
    data(await world.webhook("payment.succeeded", payment))
    assert (await order_of(buyer, order))["status"] == "paid"
    refunds = f"/orders/{order['id']}/refunds"
    first = data(await show.tenant.admin.post(refunds, {"amount": 1}), 201)
    assert first["amount"]["amount"] == 1
    if (remainder := order["total"]["amount"] - 1) > 0:
        data(await show.tenant.admin.post(refunds, {"amount": remainder}), 201)
    await drain(app)
    now = await order_of(buyer, order)
    assert (now["status"], now["refunded"]) == ("refunded", order["total"])


async def test_seats_beyond_the_largest_payment_are_refused_and_stay_available(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4, price=AMOUNT_MAX // 2 + 1)
    buyer = await world.person("buyer")
    for wanted in ({"seats": show.labels[:2]}, {"best_available": {"quantity": 2}}):
        error = refusal(await buyer.post("/reservations", {"event_id": show.id, **wanted}), 422)
        assert error["code"] == "limit_exceeded"
    free = "select count(*) as n from event_seats where event_id = :id and status = 'a'"
    assert (await rows(app, free, id=show.id))[0].n == 4
    data(await buyer.post("/reservations", {"event_id": show.id, "seats": show.labels[:1]}), 201)
