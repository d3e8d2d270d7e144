"""Disputes: the provider takes the money back, and gives it back when the dispute is won."""

import asyncio
from itertools import permutations

import pytest
from fastapi import FastAPI

from tests.modules.payments.provider_sale import ProviderSale
from tests.modules.payments.purchases import contradictions, message_counts, payment_of, rows
from tests.modules.payments.test_webhooks import age, retry
from tests.support.drain import drain
from tests.support.world import World, data, refusal


@pytest.fixture
async def sale(app: FastAPI, world: World) -> ProviderSale:
    return ProviderSale(app, world, await world.show(rows=1, seats=8), await world.person("buyer"))


async def test_a_dispute_takes_the_money_and_a_won_one_brings_it_back(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    await sale.report("dispute.created", payment, "dp_1", reason="fraudulent")
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    (chargeback,) = (await payment_of(sale.admin, payment))["refunds"]
    assert (chargeback["origin"], chargeback["kind"]) == ("provider", "chargeback")
    assert (chargeback["status"], chargeback["reason"]) == ("disputed", "fraudulent")
    assert refusal(await sale.refund(order, amount=1), 409)["code"] == "nothing_to_refund"
    assert await contradictions(app) == []
    await sale.report("dispute.won", payment, "dp_1")
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0)
    (chargeback,) = (await payment_of(sale.admin, payment))["refunds"]
    assert (chargeback["status"], chargeback["failure_reason"]) == ("failed", "The dispute was won.")
    counts = await message_counts(app, order)
    for topic in ("dispute.created", "dispute.won", "order.refunded", "order.refund_reversed"):
        assert counts[topic] == 1
    assert not counts.keys() & {"refund.succeeded", "refund.failed", "refund.recorded", "dispute.lost"}
    log = data(await sale.admin.get(sale.show.tenant.path("/audit-log")))
    assert [entry["action"] for entry in log[:2]] == ["dispute.won", "dispute.created"]
    data(await sale.refund(order), 201)
    await drain(app)
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    assert await contradictions(app) == []


@pytest.mark.parametrize(("end", "expected"), [("won", "failed"), ("lost", "succeeded")])
async def test_events_of_a_dispute_in_any_order_end_alike(
    app: FastAPI, sale: ProviderSale, end: str, expected: str
) -> None:
    events = ("dispute.created", f"dispute.{end}", f"dispute.{end}")
    for number, order_of_events in enumerate(sorted(set(permutations(events))), start=1):
        order, payment = await sale.pay(f"Stalls-A-{number}")
        for kind in order_of_events:
            await sale.report(kind, payment, "dp_1", amount=2000)
        refunded = ("paid", 0, "succeeded", 0) if end == "won" else ("partially_refunded", 2000, "succeeded", 2000)
        assert await sale.money(order, payment) == refunded
        assert [each["status"] for each in (await payment_of(sale.admin, payment))["refunds"]] == [expected]
        assert (await message_counts(app, order))[f"dispute.{end}"] == 1
    assert await contradictions(app) == []


async def test_concurrent_ends_of_a_dispute_leave_one(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    ends = ("dispute.created", "dispute.won", "dispute.lost") * 3
    await asyncio.gather(*(sale.report(kind, payment, "dp_1") for kind in ends))
    # A lost dispute may still be won, as by an appeal, and a won one is never lost.
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0)
    assert len(await rows(app, "select from refunds")) == 1
    assert await contradictions(app) == []


async def test_a_dispute_beside_a_refund_under_way_waits_for_its_refusal(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    data(await sale.refund(order, reason="mock: refuse"), 201)
    await sale.report("dispute.created", payment, "dp_1", 202)
    await drain(app)
    await age(app, 2)
    assert await retry(app) == 1
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    statuses = [(each["status"], each["kind"]) for each in (await payment_of(sale.admin, payment))["refunds"]]
    assert statuses == [("failed", "refund"), ("disputed", "chargeback")]
    assert await contradictions(app) == []


async def test_a_refund_and_a_dispute_with_one_reference_are_two(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    await sale.report("refund.succeeded", payment, "same", amount=1000)
    await sale.report("dispute.created", payment, "same", amount=3500)
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
