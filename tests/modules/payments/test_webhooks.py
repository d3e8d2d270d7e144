"""Webhooks that arrive repeatedly, out of order or too early are applied once."""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import message_counts, order_of, order_with_payment, payment_of, rows, run
from tests.support.platform import eventually
from tests.support.world import API, WEBHOOK_SECRET, World, data, refusal, sign
from ticketing.infra.config import Settings
from ticketing.main import create_app
from ticketing.modules import payments

HOOK = f"{API}/payments/webhooks/mock"

#: A trigger that stores a webhook just before the reference that it names is recorded.
EARLY_WEBHOOK = """
create function early() returns trigger language plpgsql as $$ begin
    insert into payment_events (provider, event_id, type, provider_ref, amount_minor, currency, body, tries)
    values (new.provider, 'evt_early', 'payment.succeeded', new.provider_ref, new.amount_minor, new.currency, '{}', 0);
    return new;
end $$"""


def body(payment: dict, kind: str = "payment.succeeded", **changes: object) -> bytes:
    return json.dumps(
        {
            "id": f"evt_{uuid4().hex}",
            "type": kind,
            "provider_ref": payment["provider_ref"],
            "amount": payment["amount"]["amount"],
            "currency": payment["amount"]["currency"],
            **changes,
        }
    ).encode()


async def test_ten_shuffled_successes_and_failures_pay_the_order_once(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=4)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1", "Stalls-A-2")
    same, other = body(payment), body(payment)
    webhooks = [same] * 10 + [other] + [body(payment, "payment.failed") for _ in range(5)]
    random.shuffle(webhooks)
    answers = await asyncio.gather(
        *(world.client.post(HOOK, content=raw, headers=sign(raw)) for raw in webhooks), return_exceptions=False
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await order_of(buyer, order))["status"] == "paid"
    assert (await payment_of(buyer, payment))["status"] == "succeeded"
    counts = await message_counts(app, order)
    assert counts["order.paid"] == counts["payment.succeeded"] == 1
    assert not counts.keys() & {"payment.returned", "refund.requested", "order.expired"}
    assert len(await rows(app, "select 1 from outbox where topic = 'reservation.confirmed'")) == 1
    assert len(await rows(app, "select 1 from payment_events")) == 7
    assert len(await rows(app, "select 1 from event_seats where status = 's'")) == 2


async def test_concurrent_success_and_failure_always_end_as_paid(app: FastAPI, world: World) -> None:
    show = await world.show(rows=5, seats=10)
    buyer = await world.person("buyer")
    for label in show.labels:
        _, order, payment = await order_with_payment(world, show, label, buyer=buyer)
        webhooks = [body(payment), body(payment, "payment.failed")]
        random.shuffle(webhooks)
        await asyncio.gather(*(world.client.post(HOOK, content=raw, headers=sign(raw)) for raw in webhooks))
        assert (await order_of(buyer, order))["status"] == "paid"
        assert (await payment_of(buyer, payment))["status"] == "succeeded"
        assert (await message_counts(app, order))["order.paid"] == 1


async def test_success_after_failure_counts_and_failure_after_success_does_not(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    data(await world.webhook("payment.failed", payment))
    assert (await payment_of(buyer, payment))["status"] == "failed"
    assert (await order_of(buyer, order))["status"] == "pending"
    data(await world.webhook("payment.succeeded", payment))
    data(await world.webhook("payment.failed", payment))
    assert (await payment_of(buyer, payment))["status"] == "succeeded"
    assert (await order_of(buyer, order))["status"] == "paid"
    outcomes = await rows(app, "select type, outcome from payment_events order by received_at")
    assert [tuple(row) for row in outcomes] == [
        ("payment.failed", "applied"),
        ("payment.succeeded", "applied"),
        ("payment.failed", "seen"),
    ]


@pytest.mark.parametrize(
    "headers",
    [
        lambda raw: {},
        lambda raw: {"Mock-Signature": ""},
        lambda raw: {"Mock-Signature": "nonsense"},
        lambda raw: {"Mock-Signature": f"t={int(time.time())}"},
        lambda raw: {"Mock-Signature": "v1=" + "0" * 64},
        lambda raw: {"Mock-Signature": f"t={int(time.time())},v1="},
        lambda raw: {"Mock-Signature": f"t={int(time.time())},v1=" + "é".encode().decode("latin-1")},
        lambda raw: {"Mock-Signature": "t=99999999999999999999,v1=" + "0" * 64},
        lambda raw: {"Mock-Signature": "t=,v1=" + "0" * 64},
        lambda raw: sign(raw, secret="another secret"),
        lambda raw: sign(raw, secret=""),
        lambda raw: sign(raw + b" "),
        lambda raw: sign(raw, at=int(time.time()) - 302),
        lambda raw: sign(raw, at=int(time.time()) + 302),
    ],
)
async def test_a_webhook_without_a_valid_recent_signature_is_refused_and_not_stored(
    app: FastAPI, world: World, headers: object
) -> None:
    raw = body({"provider_ref": "mock_1", "amount": {"amount": 1, "currency": "EUR"}})
    given = {k: v.encode("latin-1") for k, v in headers(raw).items()}  # type: ignore[operator]
    error = refusal(await world.client.post(HOOK, content=raw, headers=given), 401)
    assert error["code"] == "bad_signature"
    assert await rows(app, "select 1 from payment_events") == []


async def test_a_body_changed_after_signing_is_refused(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    signature = sign(body(payment, amount=1))
    refusal(await world.client.post(HOOK, content=body(payment), headers=signature), 401)
    assert (await order_of(buyer, order))["status"] == "pending"


async def test_a_signature_is_valid_for_five_minutes_in_either_direction(app: FastAPI, world: World) -> None:
    for seconds in (-295, 295):
        raw = body({"provider_ref": "mock_1", "amount": {"amount": 1, "currency": "EUR"}})
        data(await world.client.post(HOOK, content=raw, headers=sign(raw, at=int(time.time()) + seconds)), 202)


async def test_a_further_signature_by_another_secret_is_ignored(app: FastAPI, world: World) -> None:
    raw = body({"provider_ref": "mock_1", "amount": {"amount": 1, "currency": "EUR"}})
    headers = sign(raw)
    headers["Mock-Signature"] = headers["Mock-Signature"].replace(",v1=", f",v1={'0' * 64},v1=")
    data(await world.client.post(HOOK, content=raw, headers=headers), 202)


async def test_without_a_secret_the_endpoint_is_disabled(settings: Settings, app: FastAPI) -> None:
    off = create_app(settings.model_copy(update={"mock_webhook_secret": type(settings.mock_webhook_secret)("")}))
    async with off.router.lifespan_context(off):
        transport = httpx2.ASGITransport(off)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            raw = body({"provider_ref": "mock_1", "amount": {"amount": 1, "currency": "EUR"}})
            for secret in ("", WEBHOOK_SECRET):
                refusal(await client.post(HOOK, content=raw, headers=sign(raw, secret=secret)), 404)
            assert (await client.get("/mock-pay/mock_1")).status_code == 404
            buyer = await World(client).person()
            request = {"order_id": str(uuid4()), "provider": "mock"}
            assert refusal(await buyer.post("/payments", request), 422)["field"] == "provider"
        assert await rows(app, "select 1 from payment_events") == []


async def test_unknown_providers_have_no_endpoint(world: World) -> None:
    raw = body({"provider_ref": "mock_1", "amount": {"amount": 1, "currency": "EUR"}})
    for name in ("stripe", "paypal", "mock%00"):
        refusal(await world.client.post(f"{API}/payments/webhooks/{name}", content=raw, headers=sign(raw)), 404)


@pytest.mark.parametrize("change", [{"amount": 4499}, {"amount": 4501}, {"amount": 0}, {"currency": "USD"}])
async def test_a_wrong_amount_or_currency_pays_nothing(app: FastAPI, world: World, change: dict) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    data(await world.webhook("payment.succeeded", payment, **change))
    assert (await order_of(buyer, order))["status"] == "pending"
    assert (await payment_of(buyer, payment))["status"] == "pending"
    assert [row.outcome for row in await rows(app, "select outcome from payment_events")] == ["mismatch"]
    assert "refund.requested" not in await message_counts(app, order)
    data(await world.webhook("payment.succeeded", payment))
    assert (await order_of(buyer, order))["status"] == "paid"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": ""}, "id"),
        ({"id": "a" * 256}, "id"),
        ({"id": "a\x00b"}, "id"),
        ({"id": 7}, "id"),
        ({"type": "payment.exploded"}, "type"),
        ({"provider_ref": "é"}, "provider_ref"),
        ({"provider_ref": None}, "provider_ref"),
        ({"amount": "4500"}, "amount"),
        ({"amount": 45.5}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": 10**30}, "amount"),
        ({"amount": True}, "amount"),
        ({"currency": "eur"}, "currency"),
        ({"currency": "EURO"}, "currency"),
        ({"nonsense": "\x00"}, "nonsense"),
    ],
)
async def test_an_invalid_signed_webhook_names_the_field(app: FastAPI, world: World, change: dict, field: str) -> None:
    raw = body({"provider_ref": "mock_1", "amount": {"amount": 1, "currency": "EUR"}}, **change)
    assert refusal(await world.client.post(HOOK, content=raw, headers=sign(raw)), 422)["field"] == field
    assert await rows(app, "select 1 from payment_events") == []


@pytest.mark.parametrize(
    ("raw", "status"), [(b"", 400), (b"{", 400), (b"\xff", 400), (b"[]", 422), (b"null", 422), (b"x" * 65_537, 413)]
)
async def test_a_signed_webhook_that_is_not_an_object_is_refused(world: World, raw: bytes, status: int) -> None:
    refusal(await world.client.post(HOOK, content=raw, headers=sign(raw)), status)


async def test_an_idempotency_key_on_a_webhook_is_ignored(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    _, _, payment = await order_with_payment(world, show, "Stalls-A-1")
    before = await rows(app, "select count(*) from idempotency_keys")
    raw = body(payment)
    data(await world.client.post(HOOK, content=raw, headers=sign(raw) | {"Idempotency-Key": "mine"}))
    assert await rows(app, "select count(*) from idempotency_keys") == before
    # The same body and key, but unsigned: a replayed response would bypass the verification of the signature.
    refusal(await world.client.post(HOOK, content=raw, headers={"Idempotency-Key": "mine"}), 401)


async def hide(app: FastAPI, payment: dict, is_hidden: bool = True) -> None:
    """Make the payment unknown by its reference, as it is before its transaction has committed."""
    ref = f"hidden_{payment['id']}" if is_hidden else payment["provider_ref"]
    await run(app, "update payments set provider_ref = :ref where id = :id", ref=ref, id=payment["id"])


async def test_an_early_webhook_is_stored_and_applied_when_its_payment_appears(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    await hide(app, payment)
    raw = body(payment)
    for _ in range(2):
        data(await world.client.post(HOOK, content=raw, headers=sign(raw)), 202)
    assert (await order_of(buyer, order))["status"] == "pending"
    await hide(app, payment, is_hidden=False)
    assert (await world.payment(buyer, order))["status"] == "succeeded"
    assert (await order_of(buyer, order))["status"] == "paid"
    data(await world.client.post(HOOK, content=raw, headers=sign(raw)), 200)
    assert (await message_counts(app, order))["order.paid"] == 1


async def test_a_webhook_that_arrives_before_the_answer_is_applied_with_it(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    await run(app, EARLY_WEBHOOK)
    await run(
        app, "create trigger early before update of provider_ref on payments for each row execute function early()"
    )
    payment = await world.payment(buyer, order)
    assert payment["status"] == "succeeded"
    assert payment == data(await buyer.get(f"/payments/{payment['id']}"))
    assert (await order_of(buyer, order))["status"] == "paid"
    assert await message_counts(app, order) == {
        "order.created": 1,
        "payment.created": 1,
        "order.paid": 1,
        "payment.succeeded": 1,
    }


async def test_an_early_webhook_is_applied_by_a_retry(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    await hide(app, payment)
    data(await world.webhook("payment.succeeded", payment), 202)
    assert await retry(app) == 0  # the first try is due after one second
    await age(app, 2)
    assert await retry(app) == 1
    assert (await order_of(buyer, order))["status"] == "pending"
    await hide(app, payment, is_hidden=False)
    await age(app, 3)
    assert await retry(app) == 1
    assert await retry(app) == 0
    assert (await order_of(buyer, order))["status"] == "paid"


async def test_a_webhook_of_an_unknown_payment_is_abandoned_after_sixteen_tries(app: FastAPI, world: World) -> None:
    await world.client.post(HOOK, content=(raw := body(UNKNOWN)), headers=sign(raw))
    for tries in range(1, 16):
        await age(app, 2**16)
        assert await retry_once(app) == 1
        assert [tuple(r) for r in await rows(app, "select tries, outcome from payment_events")] == [(tries, None)]
    await age(app, 2**16)
    await retry(app)
    assert [tuple(r) for r in await rows(app, "select tries, outcome from payment_events")] == [(16, "abandoned")]
    await age(app, 2**20)
    await retry(app)
    assert (await rows(app, "select tries from payment_events"))[0].tries == 16
    data(await world.client.post(HOOK, content=raw, headers=sign(raw)), 200)


async def test_a_failing_webhook_does_not_block_the_others(app: FastAPI, world: World) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    _, broken_order, broken_payment = await order_with_payment(world, show, "Stalls-A-2", buyer=buyer)
    for one in (broken_payment, payment):
        await hide(app, one)
        data(await world.webhook("payment.succeeded", one), 202)
        await hide(app, one, is_hidden=False)
    # Selling this seat raises a database error that the code does not expect.
    await run(
        app,
        f"""create function refuse() returns trigger language plpgsql as $$ begin raise 'no'; end $$;
            create trigger no_more before update on orders for each row
            when (old.reference = '{broken_order["reference"]}') execute function refuse()""",
    )
    await age(app, 2)
    assert await retry(app) == 2
    assert (await order_of(buyer, order))["status"] == "paid"
    assert (await order_of(buyer, broken_order))["status"] == "pending"
    waiting = await rows(app, "select tries from payment_events where processed_at is null")
    assert [row.tries for row in waiting] == [1]


WAITING = """
select count(*) from pg_stat_activity
 where datname = current_database() and wait_event_type = 'Lock' and state = 'active'"""


async def until_waiting(app: FastAPI, count: int) -> None:
    """Wait until `count` statements wait for a lock."""

    async def are_waiting() -> bool:
        async with app.state.owner_database.transaction() as session:
            return int(await session.scalar(text(WAITING)) or 0) >= count

    assert await eventually(are_waiting)


@pytest.mark.parametrize("webhook_first", [True, False])
async def test_a_repeated_webhook_and_its_retry_lock_in_one_order(
    app: FastAPI, world: World, webhook_first: bool
) -> None:
    show = await world.show(rows=1, seats=2)
    buyer, order, payment = await order_with_payment(world, show, "Stalls-A-1")
    await hide(app, payment)
    raw = body(payment)
    data(await world.client.post(HOOK, content=raw, headers=sign(raw)), 202)
    await hide(app, payment, is_hidden=False)
    await age(app, 2)

    async def repeat() -> int:
        return (await world.client.post(HOOK, content=raw, headers=sign(raw))).status_code

    acts: list[Callable[[], Awaitable[int]]] = [repeat, lambda: retry_once(app)]
    tasks = []
    # Both queue for the order, in either order; then each takes what else it needs.
    async with app.state.owner_database.transaction() as session:
        await session.execute(text("select from orders where id = :id for update"), {"id": order["id"]})
        for act in acts if webhook_first else reversed(acts):
            tasks.append(asyncio.create_task(act(), context=Context()))
            await until_waiting(app, len(tasks))
    assert set(await asyncio.gather(*tasks)) <= {200, 0, 1}
    assert (await rows(app, "select deadlocks from pg_stat_database where datname = current_database()"))[0] == (0,)
    assert [tuple(r) for r in await rows(app, "select outcome, tries from payment_events")] == [("applied", 0)]
    assert (await order_of(buyer, order))["status"] == "paid"
    assert (await message_counts(app, order))["order.paid"] == 1


async def test_a_retry_holds_the_locks_of_one_sale_only(app: FastAPI, world: World) -> None:
    """Two sales in one transaction would lock the second order behind the counters of the first."""
    show = await world.show(rows=1, seats=2)
    buyer = await world.person("buyer")
    for label in show.labels:
        _, _, payment = await order_with_payment(world, show, label, buyer=buyer)
        await hide(app, payment)
        data(await world.webhook("payment.succeeded", payment), 202)
        await hide(app, payment, is_hidden=False)
    await age(app, 2)
    assert await retry_once(app) == 1
    assert len(await rows(app, "select from orders where status = 'paid'")) == 1
    assert await retry(app) == 1
    assert len(await rows(app, "select from orders where status = 'paid'")) == 2


UNKNOWN = {"provider_ref": "mock_unknown", "amount": {"amount": 1, "currency": "EUR"}}


async def age(app: FastAPI, seconds: int) -> None:
    """Let the next try be due `seconds` earlier."""
    await run(app, "update payment_events set due_at = due_at - make_interval(secs => :s)", s=seconds)


async def retry(app: FastAPI) -> int:
    """Run the job until nothing is due, as the scheduler does; the number of tries."""
    tried = 0
    while await retry_once(app):
        tried += 1
    return tried


async def retry_once(app: FastAPI) -> int:
    async with app.state.worker_database.transaction() as session:
        return await payments.retry_waiting_event(session)
