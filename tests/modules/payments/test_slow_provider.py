"""A provider that does not answer delays what was asked of it, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

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
from tests.modules.payments.slow_provider import SlowProvider, slow
from tests.support.drain import drain_group
from tests.support.platform import eventually
from tests.support.world import Person, World, data, refusal
from ticketing.infra.bus import Group
from ticketing.infra.config import Settings
from ticketing.infra.db import Database
from ticketing.modules import orders, payments, tickets
from ticketing.modules.payments import providers
from ticketing.modules.payments.models import Payment
from ticketing.workers import refunds

__all__ = ["slow"]

PINS = "select pid from outbox_pins()"
#: Nothing holds the log's horizon: every transaction that has written is finished.
IS_FREE = "select pg_snapshot_xmin(pg_current_snapshot()) = pg_snapshot_xmax(pg_current_snapshot()) as is_free"


async def pending(world: World) -> tuple[Person, dict[str, Any]]:
    """A buyer with a pending order."""
    buyer = await world.person()
    show = await world.show(rows=1, seats=1)
    return buyer, await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))


async def start(buyer: Person, order: dict[str, Any], provider: str = "stripe", key: str | None = None) -> Any:
    return await buyer.post("/payments", {"order_id": order["id"], "provider": provider}, key=key or str(uuid4()))


async def assert_nothing_waits(app: FastAPI, world: World, order: dict[str, Any]) -> None:
    """No connection is in use, no lock is held, and another tenant's purchase gets its ticket."""

    async def is_free() -> bool:
        # Other transactions come and go; one that waited for the provider would stay.
        is_idle = app.state.get(Database).engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        return is_idle and not await rows(app, PINS) and bool((await rows(app, IS_FREE))[0].is_free)

    assert await eventually(is_free)
    assert len(await rows(app, "select from orders where id = :id for update nowait", id=order["id"])) == 1
    other = await world.buy(await world.person(), await world.show(rows=1, seats=1), "Stalls-A-1")
    # Only the group that issues tickets: `drain` would also send refunds, and wait for the provider.
    await drain_group(app.state.worker_database, Group("tickets", {orders.OrderPaid: tickets.issue_tickets}))
    assert len(await rows(app, "select from tickets where order_id = :id", id=other["id"])) == 1


async def test_nothing_waits_for_a_provider_that_a_payment_is_started_at(
    app: FastAPI, world: World, slow: SlowProvider
) -> None:
    buyer, order = await pending(world)
    async with slow.during_a_call(start(buyer, order)) as request:
        await assert_nothing_waits(app, world, order)
        assert data(await buyer.get(f"/orders/{order['id']}/payments")) == [], "no client sees it before the answer"
    payment = data(await request, 201)
    assert payment["provider_ref"] == f"slow_{UUID(payment['id']).hex}"
    assert payment["client_secret"] == f"secret_{UUID(payment['id']).hex}"
    assert payment["checkout_url"] == "https://pay.example/checkout"
    assert await payment_of(buyer, payment) == {**payment, "client_secret": None}
    assert (await message_counts(app, order))["payment.created"] == 1


@asynccontextmanager
async def refund_worker(app: FastAPI) -> AsyncIterator[None]:
    """The worker that sends refunds, as it runs beside the consumers."""
    stop = asyncio.Event()
    worker = asyncio.create_task(refunds.run(app.state.get(Settings), app.state.worker_database, stop))
    try:
        yield
    finally:
        stop.set()
        await worker


async def refundable(app: FastAPI, world: World, provider: str, count: int = 1) -> list[dict[str, Any]]:
    """Paid orders of one tenant, each with a full refund requested."""
    show, buyer = await world.show(rows=1, seats=count), await world.person()
    bought = [await world.buy(buyer, show, label) for label in show.labels]
    ids = [order["id"] for order in bought]
    await run(app, "update payments set provider = :provider where order_id = any(:ids)", provider=provider, ids=ids)
    for order in bought:
        data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", {"reason": "Rain"}), 201)
    queue = Group("payments", {payments.RefundRequested: payments.queue_refund})
    await drain_group(app.state.worker_database, queue)
    return bought


async def test_a_refund_at_a_slow_provider_delays_no_other_refund_and_no_ticket(
    app: FastAPI, world: World, slow: SlowProvider
) -> None:
    held_back = await refundable(app, world, "stripe", count=refunds.CALLS_MAX + 2)
    quick = await refundable(app, world, "mock")
    slow.is_open.clear()

    async def is_refunded() -> bool:
        found = await rows(app, "select status from orders where id = :id", id=quick[0]["id"])
        return bool(found[0].status == "refunded")

    async def all_are_sent() -> bool:
        sent = await rows(app, "select from refunds where status = 'sent' and provider_ref like 'slow%'")
        return len(sent) == len(held_back)

    async with refund_worker(app):
        assert await eventually(is_refunded), "the other provider's refund waits"
        await assert_nothing_waits(app, world, held_back[0])
        assert len(slow.calls) == refunds.CALLS_MAX, "calls to one provider are bounded"
        slow.is_open.set()
        assert await eventually(all_are_sent)
    assert len(slow.calls) == len(slow.refunded) == len(held_back)
    for order in held_back:
        assert (await message_counts(app, order))["refund.sent"] == 1


async def test_a_refund_that_fails_for_any_reason_is_tried_until_it_succeeds(
    app: FastAPI, world: World, slow: SlowProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    await refundable(app, world, "stripe")
    monkeypatch.setattr(providers, "CALL_SECONDS", 0.05)
    database = app.state.worker_database

    async def attempt() -> bool:
        await run(app, "update refunds set due_at = now()")
        (claimed,) = await payments.claim_refunds(database, slow, 5)
        return await payments.send_refund(database, slow, claimed)

    slow.is_down = True
    assert not await attempt()
    slow.is_down = False
    slow.is_open.clear()
    assert not await attempt(), "it did not answer in time"
    slow.is_open.set()
    monkeypatch.setattr(slow, "_answer", None)
    assert not await attempt(), "a bug of the provider's client"
    monkeypatch.undo()
    assert await attempt()
    assert tuple((await rows(app, "select status, tries from refunds"))[0]) == ("sent", 4)
    assert len(slow.refunded) == 1


async def test_a_provider_that_is_down_is_a_503_and_the_next_request_continues(
    app: FastAPI, world: World, slow: SlowProvider
) -> None:
    buyer, order = await pending(world)
    slow.is_down = True
    refused = await start(buyer, order, key="once")
    assert refusal(refused, 503)["code"] == "dependency_down"
    assert refused.headers["Retry-After"] == "2"
    assert data(await buyer.get(f"/orders/{order['id']}/payments")) == []
    ((hidden,),) = await rows(app, "select id from payments")
    refusal(await buyer.get(f"/payments/{hidden}"), 404)
    slow.is_down = False
    payment = data(await start(buyer, order, key="once"), 201)
    assert slow.calls == [hidden, hidden] == [UUID(payment["id"])] * 2, "one idempotency key towards the provider"
    assert data(await start(buyer, order, key="once"), 201) == payment, "the stored response"
    assert len(slow.calls) == 2
    assert (await message_counts(app, order))["payment.created"] == 1


async def test_a_provider_that_does_not_answer_in_time_is_a_503(
    world: World, slow: SlowProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    buyer, order = await pending(world)
    monkeypatch.setattr(providers, "CALL_SECONDS", 0.05)
    slow.is_open.clear()
    assert refusal(await start(buyer, order), 503)["code"] == "dependency_down"


async def test_concurrent_requests_record_one_payment(app: FastAPI, world: World, slow: SlowProvider) -> None:
    buyer, order = await pending(world)
    async with slow.during_a_call(start(buyer, order)) as first:
        others = [asyncio.ensure_future(start(buyer, order)) for _ in range(5)]
        await slow.until_called(6)
    opened = [data(answer, 201) for answer in await asyncio.gather(first, *others)]
    assert len(set(slow.calls)) == 1
    assert [each == opened[0] for each in opened] == [True] * 6
    assert (await message_counts(app, order))["payment.created"] == 1


async def test_two_requests_with_one_key_get_one_response(world: World, slow: SlowProvider) -> None:
    buyer, order = await pending(world)
    async with slow.during_a_call(start(buyer, order, key="once")) as first:
        again = asyncio.ensure_future(start(buyer, order, key="once"))
        await slow.until_called(2)
    answers = await asyncio.gather(first, again)
    assert 201 in {answer.status_code for answer in answers} <= {201, 409}
    assert (await start(buyer, order, key="once")).content in {answer.content for answer in answers}


async def test_a_buyer_may_choose_another_provider_while_the_first_is_down(
    app: FastAPI, world: World, slow: SlowProvider
) -> None:
    buyer, order = await pending(world)
    async with slow.during_a_call(start(buyer, order)) as first:
        payment = data(await start(buyer, order, "mock"), 201)
    # Its own answer is discarded, and the open payment returned: without the client secret of the other provider.
    late = data(await first, 201)
    assert late == payment
    assert (payment["provider"], payment["client_secret"]) == ("mock", None)
    assert [tuple(row) for row in await rows(app, "select provider, provider_ref from payments")] == [
        ("mock", payment["provider_ref"])
    ]


async def cancel_event(app: FastAPI, order: dict[str, Any]) -> None:
    await run(app, "update events set status = 'cancelled'")


async def let_hold_end(app: FastAPI, order: dict[str, Any]) -> None:
    await end_hold(app, order["reservation_id"], -1)


@pytest.mark.parametrize(
    ("change", "code"), [(let_hold_end, "reservation_expired"), (cancel_event, "event_not_on_sale")]
)
async def test_an_order_that_ends_during_the_call_is_not_offered_for_payment(
    app: FastAPI, world: World, slow: SlowProvider, change: Callable[..., Any], code: str
) -> None:
    buyer, order = await pending(world)
    async with slow.during_a_call(start(buyer, order)) as request:
        await change(app, order)
    answer = await request
    assert refusal(answer, answer.status_code)["code"] == code
    assert answer.status_code in {409, 422}
    assert data(await buyer.get(f"/orders/{order['id']}/payments")) == []
    assert "payment.created" not in await message_counts(app, order)


async def test_an_order_that_is_paid_during_the_call_is_paid_once(
    app: FastAPI, world: World, slow: SlowProvider
) -> None:
    show = await world.show(rows=1, seats=1)
    buyer, order, failed = await order_with_payment(world, show, "Stalls-A-1")
    data(await world.webhook("payment.failed", failed))
    async with slow.during_a_call(start(buyer, order)) as request:
        data(await world.webhook("payment.succeeded", failed))
    assert refusal(await request, 409)["code"] == "already_paid"
    assert (await order_of(buyer, order))["status"] == "paid"
    statuses = await rows(app, "select status, provider_ref is null from payments order by id")
    assert [tuple(row) for row in statuses] == [("succeeded", False), ("superseded", True)]
    counts = await message_counts(app, order)
    assert (counts["payment.created"], counts["order.paid"]) == (1, 1)
    assert "payment.superseded" not in counts, "nobody has heard of it"


async def test_a_webhook_that_arrives_before_the_answer_pays_the_order(
    app: FastAPI, world: World, slow: SlowProvider
) -> None:
    buyer, order = await pending(world)

    async def pay(payment: Payment) -> None:
        store = """insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body)
                   values ('stripe', 'evt_1', 'payment.succeeded', :ref, :amount, 'EUR', '{}')"""
        await run(app, store, ref=f"slow_{payment.id.hex}", amount=payment.amount_minor)

    slow.before_answer = pay
    assert data(await start(buyer, order), 201)["status"] == "succeeded"
    assert (await order_of(buyer, order))["status"] == "paid"
