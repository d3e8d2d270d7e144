"""Orders, payments and webhooks that arrive together share transactions, and none of them harms another."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import end_hold, message_counts, rows, run
from tests.support.drain import drain
from tests.support.world import Person, Show, World, data, refusal
from ticketing import invariants
from ticketing.infra.db import Database
from ticketing.infra.group_commit import GroupCommit, Pending, Unusual
from ticketing.infra.group_commit.keyed_batch import Answer
from ticketing.infra.http.idempotency import Claim, IdempotencyInFlight, Replay
from ticketing.modules import orders, payments
from ticketing.modules.orders.checkout_batch import OrderRequest
from ticketing.modules.payments.providers import ProviderEvent
from ticketing.modules.payments.sale.settlement_batch import Webhook

COMMITTERS = (orders.OrderBatches, payments.PaymentReservations, payments.PaymentRecords, payments.Settlements)


@pytest.fixture
def decided(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """The sizes of the batches, by committer."""
    sizes: dict[str, list[int]] = {kind.__name__: [] for kind in COMMITTERS}

    def count(kind: type[Any]) -> None:
        commit = kind.commit

        async def counted(self: Any, connection: Any, owner: UUID, batch: Sequence[Pending[Any, Any]]) -> None:
            sizes[kind.__name__].append(len(batch))
            await commit(self, connection, owner, batch)

        monkeypatch.setattr(kind, "commit", counted)

    for kind in COMMITTERS:
        count(kind)
    return sizes


async def hold_each(world: World, show: Show, buyer: Person, labels: Sequence[str]) -> list[dict[str, Any]]:
    return list(await asyncio.gather(*(world.hold(buyer, show, label) for label in labels)))


async def payments_for(world: World, show: Show, buyer: Person, labels: Sequence[str]) -> list[dict[str, Any]]:
    held = await hold_each(world, show, buyer, labels)
    ordered = await asyncio.gather(*(world.order(buyer, one) for one in held))
    return list(await asyncio.gather(*(world.payment(buyer, one) for one in ordered)))


async def assert_consistent(app: FastAPI) -> None:
    await drain(app)
    async with app.state.worker_database.transaction() as session:
        assert [(v.invariant.name, v.offenders) for v in await invariants.check(session) if v.count] == []


async def test_sales_that_arrive_together_are_decided_together(
    app: FastAPI, world: World, decided: dict[str, list[int]]
) -> None:
    show, buyer = await world.show(seats=16, rows=1, capacity=40), await world.person()
    places = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    held = await asyncio.gather(*(world.hold(buyer, show, label, items=places) for label in show.labels))
    ordered = await asyncio.gather(*(world.order(buyer, one) for one in held))
    paid = await asyncio.gather(*(world.payment(buyer, one) for one in ordered))
    for answer in await asyncio.gather(*(world.webhook("payment.succeeded", one) for one in paid)):
        assert data(answer) == {"is_applied": True}
    for sizes in decided.values():
        assert sum(sizes) == 16
        assert len(sizes) < 16
    await assert_consistent(app)
    assert len(await rows(app, "select 1 from tickets")) == 48
    assert await message_counts(app, ordered[7]) == {
        **{"order.created": 1, "payment.created": 1, "order.paid": 1, "payment.succeeded": 1},
        "tickets.issued": 1,
    }
    for order in ordered:
        now = data(await buyer.get(f"/orders/{order['id']}"))
        assert now == {**order, "status": "paid", "paid_at": now["paid_at"]}
    for payment in paid:
        assert data(await buyer.get(f"/payments/{payment['id']}"))["status"] == "succeeded"


async def test_one_failing_order_does_not_harm_those_of_its_batch(app: FastAPI, world: World) -> None:
    """The database rejects one of twelve: the batch fails, and the others are placed all the same."""
    show, buyer = await world.show(seats=12, rows=1), await world.person()
    held = await hold_each(world, show, buyer, show.labels)
    await run(app, "alter table orders add constraint no_mallory check (buyer_name <> 'Mallory')")

    async def order(n: int) -> Any:
        name = "Mallory" if n == 5 else "Ada"
        body = {"reservation_id": held[n]["id"], "buyer": {"email": buyer.email, "name": name}}
        try:
            return (await buyer.post("/orders", body)).status_code
        except Exception as error:  # the test's client raises what the server answers with 500
            return type(error).__name__

    try:
        answers = await asyncio.gather(*map(order, range(12)))
    finally:
        await run(app, "alter table orders drop constraint no_mallory")
    assert [answer for n, answer in enumerate(answers) if n != 5] == [201] * 11
    assert answers[5] != 201
    assert len(await rows(app, "select 1 from orders")) == 11
    await assert_consistent(app)


async def test_two_orders_with_one_key_at_once_are_one_order(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=2, rows=1), await world.person()
    reservation = await world.hold(buyer, show, "Stalls-A-1")
    body = {"reservation_id": reservation["id"], "buyer": {"email": buyer.email, "name": "Ada"}}
    answers = await asyncio.gather(*(buyer.post("/orders", body, key="once") for _ in range(6)))
    made = [data(answer, 201)["id"] for answer in answers if answer.status_code == 201]
    assert len(set(made)) == 1
    others = {refusal(answer, 409)["code"] for answer in answers if answer.status_code != 201}
    assert others <= {"idempotency_in_flight"}
    assert len(await rows(app, "select 1 from orders")) == 1


async def test_one_key_in_two_processes_orders_once(app: FastAPI, world: World) -> None:
    """The second process has a group commit of its own: only the database can tell that the key is in use."""
    show, buyer = await world.show(seats=8, rows=1), await world.person()
    held = await hold_each(world, show, buyer, show.labels)
    database, here = app.state.get(Database), app.state.get(orders.OrderBatches)
    other = GroupCommit(database)
    there = orders.OrderBatches(database, other)

    def request(reservation: dict[str, Any]) -> OrderRequest:
        body = {"reservation_id": reservation["id"], "buyer": {"email": buyer.email, "name": "Ada"}}
        claim = Claim(f"user:{buyer.id}", reservation["id"], [b"x" * 32])
        return OrderRequest(claim, UUID(buyer.id), orders.CreateOrder.model_validate(body))

    asked = [batches.submit(request(one)) for one in held for batches in (here, there)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    await other.close()
    ordered = 0
    for pair in zip(answers[::2], answers[1::2], strict=True):
        kinds = [type(answer) for answer in pair]
        assert set(kinds) <= {Answer, IdempotencyInFlight, Replay, Unusual}
        # One may have the key and the other the hold: the first then goes through its ordinary transaction.
        assert kinds.count(Answer) == 1 or Unusual in kinds
        ordered += kinds.count(Answer)
    assert ordered
    assert len(await rows(app, "select 1 from orders")) == ordered


async def test_one_webhook_in_two_processes_is_applied_once(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=8, rows=1), await world.person()
    open_payments = await payments_for(world, show, buyer, show.labels)
    database = app.state.get(Database)
    other = GroupCommit(database)
    settlements = app.state.get(payments.Settlements), payments.Settlements(database, other)

    def webhook(payment: dict[str, Any]) -> Webhook:
        amount = payment["amount"]
        event = (
            f"evt-{payment['id']}",
            "payment.succeeded",
            payment["provider_ref"],
            amount["amount"],
            amount["currency"],
            {},
        )
        return Webhook("mock", ProviderEvent(*event))

    # The other process takes them in the opposite order.
    one = [settlements[0].submit(webhook(payment)) for payment in open_payments]
    two = [settlements[1].submit(webhook(payment)) for payment in reversed(open_payments)]
    answers = await asyncio.gather(*one, *two, return_exceptions=True)
    await other.close()
    assert {type(answer) for answer in answers} <= {type(None), Unusual}
    assert answers.count(None) == 8
    counts = await rows(app, "select key, count(*) from outbox where topic = 'order.paid' group by key")
    assert [count for _, count in counts] == [1] * 8
    await assert_consistent(app)


async def test_two_different_webhooks_of_one_payment_at_once_pay_once(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    for payment in await payments_for(world, show, buyer, show.labels):
        answers = await asyncio.gather(*(world.webhook("payment.succeeded", payment) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
    assert len(await rows(app, "select 1 from payment_events where processed_at is null")) == 0
    assert len(await rows(app, "select 1 from outbox where topic = 'order.paid'")) == 4
    await assert_consistent(app)


async def test_a_locked_order_delays_no_other_webhook(
    app: FastAPI, world: World, decided: dict[str, list[int]]
) -> None:
    show, buyer = await world.show(seats=6, rows=1), await world.person()
    locked, *others = await payments_for(world, show, buyer, show.labels)
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("select from orders where id = :id for update"), {"id": locked["order_id"]})
        waiting = asyncio.create_task(world.webhook("payment.succeeded", locked))
        answers = await asyncio.gather(*(world.webhook("payment.succeeded", one) for one in others))
        assert [answer.status_code for answer in answers] == [200] * 5
        assert not waiting.done()
    assert data(await waiting) == {"is_applied": True}
    assert sum(decided["Settlements"]) == 6, "no batch waited for the lock until it failed and was rerun one by one"
    await assert_consistent(app)


async def test_a_payment_late_among_others_in_time_is_decided_by_the_rules_of_late_money(
    app: FastAPI, world: World
) -> None:
    show, buyer = await world.show(seats=6, rows=1), await world.person()
    held = await hold_each(world, show, buyer, show.labels)
    ordered = await asyncio.gather(*(world.order(buyer, one) for one in held))
    paid = await asyncio.gather(*(world.payment(buyer, one) for one in ordered))
    await end_hold(app, held[0]["id"], -1)  # lapsed, and its seat taken by nobody
    await end_hold(app, held[1]["id"], -1)
    rival = await world.person("rival")
    await world.hold(rival, show, show.labels[1])
    answers = await asyncio.gather(*(world.webhook("payment.succeeded", one) for one in paid))
    assert {answer.status_code for answer in answers} == {200}
    states = [data(await buyer.get(f"/payments/{one['id']}"))["status"] for one in paid]
    assert states == ["succeeded", "refunded", *["succeeded"] * 4]
    await assert_consistent(app)


async def test_a_wrong_amount_among_others_is_a_mismatch_and_changes_nothing(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    wrong, *right = await payments_for(world, show, buyer, show.labels)
    sent = [
        world.webhook("payment.succeeded", wrong, amount=1),
        *(world.webhook("payment.succeeded", p) for p in right),
    ]
    assert {answer.status_code for answer in await asyncio.gather(*sent)} == {200}
    outcomes = await rows(app, "select outcome, count(*) from payment_events group by outcome order by outcome")
    assert [tuple(row) for row in outcomes] == [("applied", 3), ("mismatch", 1)]
    assert data(await buyer.get(f"/payments/{wrong['id']}"))["status"] == "pending"
    await assert_consistent(app)


async def test_a_batch_never_crosses_tenants(app: FastAPI, world: World) -> None:
    """Orders of two organizations at once, and a stranger who names another buyer's hold, order and payment."""
    shows = [await world.show(seats=3, rows=1) for _ in range(2)]
    buyer, stranger = await world.person(), await world.person("stranger")
    held = [one for show in shows for one in await hold_each(world, show, buyer, show.labels)]
    theirs = {"reservation_id": held[0]["id"], "buyer": {"email": stranger.email, "name": "Eve"}}
    *ordered, refused = await asyncio.gather(
        *(world.order(buyer, one) for one in held), stranger.post("/orders", theirs)
    )
    assert refusal(refused, 404)["code"] == "not_found"
    owners = {order["organization_id"] for order in ordered}
    assert owners == {show.tenant.id for show in shows}
    asked = {"order_id": ordered[0]["id"], "provider": "mock"}
    *paid, refused = await asyncio.gather(
        *(world.payment(buyer, one) for one in ordered), stranger.post("/payments", asked)
    )
    assert refusal(refused, 404)["code"] == "not_found"
    assert len({payment["id"] for payment in paid}) == 6
    await assert_consistent(app)
