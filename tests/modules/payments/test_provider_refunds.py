"""Refunds that begin at the provider: counted once each, never more than was paid, and capping the platform's own."""

import asyncio
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI

from tests.modules.payments.provider_sale import ProviderSale as Sale
from tests.modules.payments.purchases import (
    contradictions,
    message_counts,
    order_with_payment,
    payment_of,
    rows,
    run,
)
from tests.modules.payments.slow_provider import SlowProvider, slow
from tests.modules.payments.test_webhooks import age, retry
from tests.support.drain import drain, send_refunds
from tests.support.world import World, data, refusal
from ticketing.modules import payments

__all__ = ["slow"]

LIFE = ("refund.created", "refund.succeeded", "refund.failed")


@pytest.fixture
async def sale(app: FastAPI, world: World) -> Sale:
    return Sale(app, world, await world.show(rows=1, seats=8), await world.person("buyer"))


async def outcomes(app: FastAPI) -> list[str | None]:
    found = await rows(app, "select outcome from payment_events where type not like 'payment.%' order by received_at")
    return [row.outcome for row in found]


async def test_a_full_refund_at_the_provider_is_recorded(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    await sale.report("refund.succeeded", payment, reason="requested_by_customer")
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    (refund,) = (await payment_of(sale.admin, payment))["refunds"]
    assert (refund["origin"], refund["kind"], refund["status"]) == ("provider", "refund", "succeeded")
    assert (refund["reason"], refund["amount"]["amount"]) == ("requested_by_customer", 4500)
    counts = await message_counts(app, order)
    assert counts["refund.recorded"] == counts["refund.succeeded"] == counts["order.refunded"] == 1
    assert "refund.requested" not in counts
    assert refusal(await sale.refund(order, amount=1), 409)["code"] == "nothing_to_refund"
    log = data(await sale.admin.get(sale.show.tenant.path("/audit-log")))
    assert (log[0]["action"], log[0]["actor"]) == ("refund.recorded", "provider:mock")
    assert log[0]["subject"] == f"order:{order['id']}"
    assert await contradictions(app) == []


async def test_a_partial_refund_at_the_provider_caps_later_refunds(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    await sale.report("refund.created", payment, amount=1000)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 1000), "the provider has accepted it"
    await sale.report("refund.succeeded", payment, amount=1000)
    assert await sale.money(order, payment) == ("partially_refunded", 1000, "succeeded", 1000)
    refused = refusal(await sale.refund(order, amount=3501), 409)
    assert (refused["code"], refused["refundable_minor"]) == ("refund_too_large", 3500)
    data(await sale.refund(order), 201)
    await drain(app)
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    assert await contradictions(app) == []


async def test_repeated_events_at_once_are_counted_once(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    same = f"evt_{uuid4().hex}"
    await asyncio.gather(
        *(sale.report("refund.succeeded", payment, amount=1000, id=same) for _ in range(4)),
        *(sale.report("refund.succeeded", payment, amount=1000) for _ in range(4)),
        *(sale.report("refund.created", payment, amount=1000) for _ in range(2)),
    )
    assert await sale.money(order, payment) == ("partially_refunded", 1000, "succeeded", 1000)
    assert (await message_counts(app, order))["order.refunded"] == 1
    assert len(await rows(app, "select from refunds")) == 1
    assert await contradictions(app) == []


async def test_events_of_a_refund_in_any_order_end_alike(app: FastAPI, sale: Sale) -> None:
    for number, events in enumerate(permutations(LIFE), start=1):
        order, payment = await sale.pay(f"Stalls-A-{number}")
        for kind in events:
            await sale.report(kind, payment, reason="account_closed" if kind == "refund.failed" else "")
        assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0), events
        (refund,) = (await payment_of(sale.admin, payment))["refunds"]
        assert (refund["status"], refund["failure_reason"]) == ("failed", "account_closed"), events
        counts = await message_counts(app, order)
        assert counts["refund.failed"] == 1, events
        assert counts.get("order.refunded") == counts.get("order.refund_reversed"), events
    assert await contradictions(app) == []


async def test_a_failed_refund_is_refunded_again(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    data(await sale.refund(order, reason="mock: fail"), 201)
    await drain(app)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0)
    data(await sale.refund(order, reason="Rain"), 201)
    await drain(app)
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    late = {"ref": "re_2", "reason": "x" * 9000}
    (_, again) = (await payment_of(sale.admin, payment))["refunds"]
    await sale.report("refund.failed", payment, **late, refund_id=again["id"])
    # The reference is another one than that of the refund: a new refund that failed, which moves no money.
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    await sale.report("refund.failed", payment, ref=f"re_{UUID(again['id']).hex}", reason="x" * 9000)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0)
    seen = (await payment_of(sale.admin, payment))["refunds"]
    assert [len(refund["failure_reason"]) for refund in seen] == [0, 500, 500]
    assert {refund["failure_reason"] for refund in (await payment_of(sale.buyer, payment))["refunds"]} == {None}
    assert await contradictions(app) == []


async def test_an_echo_of_our_refund_is_counted_once(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    made = data(await sale.refund(order, amount=1000), 201)
    ref = f"re_{UUID(made['id']).hex}"
    await sale.report("refund.created", payment, ref, amount=1000, refund_id=made["id"])
    await asyncio.gather(drain(app), sale.report("refund.succeeded", payment, ref, amount=1000))
    await drain(app)
    for names in ({"object_ref": ref, "refund_id": made["id"]}, {"refund_id": made["id"]}):
        data(await sale.world.webhook("refund.succeeded", payment, amount=1000, **names))
    assert set(await outcomes(app)) == {"applied", "seen"}
    assert await sale.money(order, payment) == ("partially_refunded", 1000, "succeeded", 1000)
    assert len(await rows(app, "select from refunds")) == 1
    assert await contradictions(app) == []


async def test_an_echo_without_our_id_waits_while_the_refund_is_sent(
    app: FastAPI, sale: Sale, slow: SlowProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    made = data(await sale.refund(order, amount=1000), 201)
    monkeypatch.setattr(slow, "name", "mock", raising=False)
    await run(app, "update refunds set due_at = now()")
    (claimed,) = await payments.claim_refunds(app.state.worker_database, slow, 1)
    ref = f"slow_re_{UUID(made['id']).hex}"
    async with slow.during_a_call(payments.send_refund(app.state.worker_database, slow, claimed)) as call:
        await sale.report("refund.succeeded", payment, ref, 202, amount=1000)
        await sale.report("refund.succeeded", payment, "re_dashboard", amount=500)
    assert await call
    await age(app, 2)
    assert await retry(app) == 1
    assert await sale.money(order, payment) == ("partially_refunded", 1500, "succeeded", 1500)
    assert [row.provider_ref for row in await rows(app, "select provider_ref from refunds order by id")] == [
        ref,
        "re_dashboard",
    ]
    assert await contradictions(app) == []


async def test_a_dashboard_that_is_faster_than_our_refund_is_counted_instead_of_it(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    data(await sale.refund(order, reason="mock: refuse"), 201)
    # The provider has paid 40.00 from its dashboard, and refuses our 45.00.
    await sale.report("refund.succeeded", payment, status=202, amount=4000)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 4500)
    await drain(app)
    await age(app, 2)
    assert await retry(app) == 1
    assert await sale.money(order, payment) == ("partially_refunded", 4000, "succeeded", 4000)
    assert (await message_counts(app, order))["refund.failed"] == 1
    assert await contradictions(app) == []


async def test_refunds_here_and_there_at_once_never_exceed_the_payment(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")

    async def there(number: int) -> int:
        answer = await sale.world.webhook("refund.succeeded", payment, amount=1000, object_ref=f"re_{number}")
        return answer.status_code

    async def here() -> int:
        return int((await sale.refund(order, amount=1000)).status_code)

    async def send() -> int:
        await run(app, "update refunds set due_at = now() where status = 'requested'")
        return await send_refunds(app)

    answers = await asyncio.gather(*(act for number in range(5) for act in (there(number), here())), send())
    assert set(answers[:-1]) <= {200, 201, 202, 409}
    await drain(app)
    await age(app, 60)
    await retry(app)
    assert await sale.money(order, payment) == ("partially_refunded", 4000, "succeeded", 4000)
    assert (await rows(app, "select sum(amount_minor) as s from refunds where status = 'succeeded'"))[0].s == 4000
    assert await contradictions(app) == []
    assert (await rows(app, "select deadlocks from pg_stat_database where datname = current_database()"))[0] == (0,)


async def test_a_refund_that_cannot_be_of_this_payment_is_a_mismatch(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    changes: list[dict[str, Any]] = [{"amount": 4501}, {"amount": 0}, {"currency": "USD"}]
    for change in changes:
        for kind in ("refund.created", "refund.succeeded", "refund.failed", "dispute.created", "dispute.lost"):
            await sale.report(kind, payment, f"x_{kind}", **change)
    assert set(await outcomes(app)) == {"mismatch"}
    assert await rows(app, "select from refunds") == []
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0)


async def test_a_known_refund_with_another_amount_is_a_mismatch(app: FastAPI, sale: Sale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    await sale.report("refund.created", payment, amount=1000)
    await sale.report("refund.succeeded", payment, amount=2000)
    assert await outcomes(app) == ["applied", "mismatch"]
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 1000)


async def test_a_refund_waits_for_its_payment(app: FastAPI, sale: Sale) -> None:
    _, order, payment = await order_with_payment(sale.world, sale.show, "Stalls-A-1", buyer=sale.buyer)
    await sale.report("refund.succeeded", payment, status=202, amount=1000)
    data(await sale.world.webhook("payment.succeeded", payment))
    await age(app, 2)
    assert await retry(app) == 1
    assert await sale.money(order, payment) == ("partially_refunded", 1000, "succeeded", 1000)


async def test_references_of_other_payments_are_not_looked_up(app: FastAPI, sale: Sale, world: World) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    made = data(await sale.refund(order, amount=1000), 201)
    other = Sale(app, world, await world.show(rows=1, seats=1), await world.person("other"))
    theirs, their_payment = await other.pay("Stalls-A-1")
    await sale.report("refund.created", payment, amount=500)
    await other.report("refund.succeeded", their_payment, "re_1", amount=700, refund_id=made["id"])
    assert await other.money(theirs, their_payment) == ("partially_refunded", 700, "succeeded", 700)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 1500)


async def test_the_failed_refund_of_a_second_payment_is_refunded_by_its_payment(app: FastAPI, sale: Sale) -> None:
    _, order, second = await order_with_payment(sale.world, sale.show, "Stalls-A-1", buyer=sale.buyer)
    data(await sale.world.webhook("payment.failed", second))
    first = await sale.world.payment(sale.buyer, order)
    for payment in (first, second):
        data(await sale.world.webhook("payment.succeeded", payment))
    (refund,) = (await payment_of(sale.admin, second))["refunds"]
    await sale.report("refund.failed", second, "re_back", refund_id=refund["id"], reason="account_closed")
    assert await sale.money(order, second) == ("paid", 0, "refunded", 0)
    assert await contradictions(app) == []
    unknown = refusal(await sale.refund(order, payment_id=str(uuid4())), 422)
    other = await sale.world.show(rows=1, seats=1)
    _, theirs = await Sale(app, sale.world, other, sale.buyer).pay("Stalls-A-1")
    assert refusal(await sale.refund(order, payment_id=theirs["id"]), 422) == unknown
    assert unknown["field"] == "payment_id"
    both = {"payment_id": second["id"], "ticket_ids": [str(uuid4())]}
    refusal(await sale.refund(order, **both), 422)
    made = data(await sale.refund(order, payment_id=second["id"]), 201)
    assert (made["amount"]["amount"], made["voided_ticket_ids"]) == (4500, [])
    await drain(app)
    assert await sale.money(order, second) == ("paid", 0, "refunded", 4500)
    assert refusal(await sale.refund(order, payment_id=second["id"]), 409)["code"] == "nothing_to_refund"
    assert await contradictions(app) == []


async def test_an_event_needs_the_reference_of_its_refund_or_dispute(world: World) -> None:
    unknown = {"provider_ref": "mock_unknown", "amount": {"amount": 1, "currency": "EUR"}}
    for kind in ("refund.created", "refund.failed", "dispute.created", "dispute.won", "dispute.lost"):
        refusal(await world.webhook(kind, unknown), 422)
