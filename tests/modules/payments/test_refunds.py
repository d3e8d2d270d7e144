"""Refunds: never more than was paid, sent to the provider once, and completed by its webhook."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import message_counts, order_of, order_with_payment, payment_of, rows, run
from tests.support.drain import drain, send_refunds
from tests.support.world import World, data
from ticketing.infra.config import Settings
from ticketing.modules import orders, payments


async def paid(world: World, *seats: str) -> Any:
    buyer, order, payment = await order_with_payment(world, await world.show(rows=1, seats=4), *seats)
    data(await world.webhook("payment.succeeded", payment))
    return buyer, order, payment


async def request_refund(app: FastAPI, order: dict[str, Any], amount_minor: int | None, reason: str = "Rain") -> str:
    async with app.state.worker_database.transaction() as session:
        found = await orders.get_order(session, UUID(order["id"]))
        refund = await payments.refund_order(session, found, amount_minor, reason, found.user_id)
        assert payments.RefundOut.of(refund).status == "requested"
        return str(refund.id)


async def test_a_refund_in_two_parts_ends_as_refunded(app: FastAPI, world: World) -> None:
    buyer, order, payment = await paid(world, "Stalls-A-1", "Stalls-A-2")
    await request_refund(app, order, 1000)
    assert (await order_of(buyer, order))["status"] == "paid"
    await drain(app)
    now = await order_of(buyer, order)
    assert (now["status"], now["refunded"]["amount"]) == ("partially_refunded", 1000)
    assert (await payment_of(buyer, payment))["status"] == "succeeded"
    await request_refund(app, order, None)
    await drain(app)
    now = await order_of(buyer, order)
    assert (now["status"], now["refunded"]["amount"]) == ("refunded", 9000)
    after = await payment_of(buyer, payment)
    assert (after["status"], after["refunded"]["amount"]) == ("refunded", 9000)
    assert [(r["status"], r["amount"]["amount"], r["reason"]) for r in after["refunds"]] == [
        ("succeeded", 1000, "Rain"),
        ("succeeded", 8000, "Rain"),
    ]
    counts = await message_counts(app, order)
    assert counts["refund.requested"] == counts["refund.succeeded"] == counts["order.refunded"] == 2


async def test_refunds_never_exceed_the_payment(app: FastAPI, world: World) -> None:
    _, order, _ = await paid(world, "Stalls-A-1")
    with pytest.raises(payments.RefundTooLarge) as refused:
        await request_refund(app, order, 4501)
    assert refused.value.details == {"refundable_minor": 4500}
    await request_refund(app, order, 4000)
    with pytest.raises(payments.RefundTooLarge):
        await request_refund(app, order, 501)
    await request_refund(app, order, 500)
    with pytest.raises(payments.NothingToRefund):
        await request_refund(app, order, None)


async def test_concurrent_refunds_never_exceed_the_payment(app: FastAPI, world: World) -> None:
    _, order, _ = await paid(world, "Stalls-A-1")
    results = await asyncio.gather(*(request_refund(app, order, 1000) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, str) for result in results) == 4
    assert {type(result) for result in results} == {str, payments.RefundTooLarge}
    total = (await rows(app, "select sum(amount_minor) as total from refunds"))[0].total
    assert total == 4000


async def test_an_unpaid_order_is_not_refunded(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    _, order, _ = await order_with_payment(world, show, "Stalls-A-1")
    with pytest.raises(payments.NothingToRefund):
        await request_refund(app, order, None)
    free = await world.show(rows=1, seats=2, price=0)
    buyer = await world.person()
    with pytest.raises(payments.NothingToRefund):
        await request_refund(app, await world.order(buyer, await world.hold(buyer, free, "Stalls-A-1")), None)


async def test_a_refund_is_retried_when_the_provider_does_not_respond(app: FastAPI, world: World) -> None:
    buyer, order, _ = await paid(world, "Stalls-A-1")
    await request_refund(app, order, None)
    payments.use_transport(httpx2.MockTransport(lambda request: httpx2.Response(503)))
    await drain(app)
    (refund,) = await rows(app, "select status, tries, due_at from refunds")
    assert (refund.status, refund.tries > 0, refund.due_at is not None) == ("requested", True, True)
    payments.use_transport(httpx2.ASGITransport(app))
    await run(app, "update refunds set due_at = now()")
    assert await send_refunds(app) == 1
    assert (await order_of(buyer, order))["status"] == "refunded"


async def test_a_refund_that_several_processes_send_is_paid_once(app: FastAPI, world: World) -> None:
    buyer, order, _ = await paid(world, "Stalls-A-1")
    await request_refund(app, order, 1500)
    await run(app, "update refunds set due_at = now()")
    (provider,) = payments.list_providers(app.state.get(Settings))
    database = app.state.worker_database
    claims = await asyncio.gather(*(payments.claim_refunds(database, provider, 5) for _ in range(4)))
    (claimed,) = [one for claim in claims for one in claim]
    # A claim may expire while its process is suspended: the call is repeated with the same idempotency key.
    await asyncio.gather(*(payments.send_refund(database, provider, claimed) for _ in range(4)))
    assert (await order_of(buyer, order))["refunded"]["amount"] == 1500
    assert (await message_counts(app, order))["refund.succeeded"] == 1
    assert len(await rows(app, "select 1 from payment_events where type = 'refund.succeeded'")) == 1
    assert await payments.claim_refunds(database, provider, 5) == []


async def test_a_refund_webhook_may_name_the_refund_or_the_payment_and_repeat(app: FastAPI, world: World) -> None:
    buyer, order, payment = await paid(world, "Stalls-A-1")
    first = await request_refund(app, order, 1000)
    second = await request_refund(app, order, 1000)
    data(await world.webhook("refund.succeeded", payment, amount=1000))
    states = {str(r.id): r.status for r in await rows(app, "select id, status from refunds")}
    assert states == {first: "succeeded", second: "requested"}
    await drain(app)
    named = {**payment, "provider_ref": f"re_{UUID(second).hex}"}
    data(await world.webhook("refund.succeeded", named, amount=1000))
    assert (await order_of(buyer, order))["refunded"]["amount"] == 2000
    outcomes = await rows(app, "select outcome from payment_events order by received_at desc limit 1")
    assert outcomes[0].outcome == "seen"


async def test_a_refund_webhook_with_another_amount_is_a_mismatch(app: FastAPI, world: World) -> None:
    buyer, order, payment = await paid(world, "Stalls-A-1")
    await request_refund(app, order, 1000)
    data(await world.webhook("refund.succeeded", payment, amount=999))
    data(await world.webhook("refund.succeeded", payment, amount=1000, currency="USD"))
    assert (await order_of(buyer, order))["refunded"]["amount"] == 0
    outcomes = await rows(app, "select outcome from payment_events where type = 'refund.succeeded'")
    assert [row.outcome for row in outcomes] == ["mismatch", "mismatch"]


async def test_a_refund_of_an_unknown_payment_waits(world: World) -> None:
    unknown = {"provider_ref": "mock_unknown", "amount": {"amount": 1, "currency": "EUR"}}
    data(await world.webhook("refund.succeeded", unknown), 202)
