"""The mock provider's payment page: escaped output, and idempotent buttons."""

import asyncio
from functools import partial

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import message_counts, order_of, order_with_payment, payment_of, rows
from tests.support.world import World, data
from ticketing.modules import payments


def page_of(payment: dict) -> str:
    return f"/mock-pay/{payment['provider_ref']}"


async def test_the_page_shows_the_amount_and_that_it_is_a_mock(world: World) -> None:
    title = '<script>alert("1")</script> & Söhne'
    show = await world.show(rows=1, seats=2, title=title)
    _, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    page = await world.client.get(page_of(payment))
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "€45.00" in page.text
    assert order["reference"] in page.text
    assert "This is a mock" in page.text
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    assert " style=" not in page.text
    assert "<style" not in page.text


async def test_pay_pays_and_redirects_to_the_order(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    answer = await world.client.post(page_of(payment), data={"action": "pay"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/o/{order['reference']}")
    assert (await order_of(buyer, order))["status"] == "paid"
    assert "paid already" in (await world.client.get(page_of(payment))).text


async def test_pressing_pay_five_times_pays_once(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    await asyncio.gather(*(world.client.post(page_of(payment), data={"action": "pay"}) for _ in range(5)))
    assert (await order_of(buyer, order))["status"] == "paid"
    assert len(await rows(app, "select 1 from payment_events")) == 1
    assert (await message_counts(app, order))["order.paid"] == 1


async def test_decline_fails_the_payment_and_the_buyer_may_try_again(world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    answer = await world.client.post(page_of(payment), data={"action": "decline"})
    assert answer.status_code == 303
    assert (await payment_of(buyer, payment))["status"] == "failed"
    again = await world.payment(buyer, order)
    assert again["id"] != payment["id"]
    await world.client.post(page_of(again), data={"action": "pay"})
    assert (await order_of(buyer, order))["status"] == "paid"


async def test_an_unreachable_webhook_endpoint_shows_an_error_and_a_retry_button(
    app: FastAPI, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    calls: list[str] = []

    def refuse(request: httpx2.Request) -> httpx2.Response:
        calls.append(str(request.url))
        raise httpx2.ConnectError("connection refused")

    payments.use_transport(httpx2.MockTransport(refuse))
    page = await world.client.post(page_of(payment), data={"action": "pay"})
    assert page.status_code == 502
    assert "try again" in page.text
    assert 'value="pay"' in page.text
    assert 2 <= len(calls) <= 5
    assert (await order_of(buyer, order))["status"] == "pending"
    payments.use_transport(httpx2.ASGITransport(app))
    assert (await world.client.post(page_of(payment), data={"action": "pay"})).status_code == 303
    assert (await order_of(buyer, order))["status"] == "paid"


async def test_paid_money_is_refunded_or_disputed_by_buttons(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    press = partial(world.client.post, page_of(payment))
    assert (await press(data={"action": "dispute"})).status_code == 422, "nothing is paid yet"
    await press(data={"action": "pay"})
    assert 'value="refund"' in (await world.client.get(page_of(payment))).text
    await asyncio.gather(*(press(data={"action": "dispute"}) for _ in range(3)))
    assert (await order_of(buyer, order))["status"] == "refunded"
    page = (await world.client.get(page_of(payment))).text
    assert 'value="win"' in page
    assert 'value="refund"' not in page
    assert (await press(data={"action": "win"})).headers["location"] == f"/o/{order['reference']}"
    assert (await order_of(buyer, order))["status"] == "paid"
    assert (await press(data={"action": "lose"})).status_code == 422, "the dispute is over"
    await press(data={"action": "refund"})
    assert (await order_of(buyer, order))["status"] == "refunded"


@pytest.mark.parametrize("path", ["mock_unknown", "%00", "é", "a" * 5000, "%3Cscript%3E"])
async def test_an_unknown_payment_has_no_page(world: World, path: str) -> None:
    for answer in (await world.client.get(f"/mock-pay/{path}"), await world.client.post(f"/mock-pay/{path}")):
        assert answer.status_code == 404
        assert "script>" not in answer.text


@pytest.mark.parametrize("content", [b"", b"action=", b"action=steal", b"\xff\x00=1", b"x" * 4096])
async def test_any_other_button_does_nothing(world: World, content: bytes) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await world.client.post(page_of(payment), content=content, headers=form)).status_code == 422
    assert (await world.client.post(page_of(payment), content=b"x" * 5000, headers=form)).status_code == 413
    assert (await order_of(buyer, order))["status"] == "pending"
    assert data(await buyer.get(f"/payments/{payment['id']}"))["status"] == "pending"
