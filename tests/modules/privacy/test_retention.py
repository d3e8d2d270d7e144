"""Buyers' data is erased after the retention that their organization sets; orders are kept."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.payments.purchases import message_counts, order_with_payment, rows, run
from tests.support.drain import drain
from tests.support.world import Show, Tenant, World, data, refusal
from ticketing.infra.config import Settings
from ticketing.modules import privacy
from ticketing.workers import cleaning, scheduler

DAY = "update events set starts_at = now() - make_interval(days => :days), ends_at = null"


async def forget(app: FastAPI) -> int:
    return await scheduler.run_job(
        "forget", scheduler.forget_old_buyers, app.state.get(Settings), app.state.worker_database
    )


async def names(app: FastAPI) -> list[str]:
    return [row.buyer_name for row in await rows(app, "select buyer_name from orders order by id")]


async def sold(world: World, app: FastAPI, days: int | None = 30) -> tuple[Tenant, Show, dict[str, Any]]:
    tenant = await world.tenant()
    data(await tenant.admin.patch(tenant.path(), {"buyer_data_days": days}))
    show = await world.show(tenant)
    order = await world.buy(await world.person("ada"), show, "Stalls-A-1")
    await drain(app)
    return tenant, show, order


async def test_buyers_are_erased_after_their_retention(world: World, app: FastAPI) -> None:
    _, _, order = await sold(world, app)
    await run(app, DAY, days=29)
    assert await forget(app) == 0
    assert await names(app) == ["Ada Byron"]
    await run(app, DAY, days=31)
    assert await forget(app) == 1
    kept = (await rows(app, "select reference, total_minor, status, buyer_email, buyer_name from orders"))[0]
    assert tuple(kept) == (order["reference"], order["total"]["amount"], "paid", "", "")
    assert [row.holder_name for row in await rows(app, "select holder_name from tickets")] == [""]
    assert [row[0] for row in await rows(app, "select buyer_identity from reservations")] == [None]
    assert await forget(app) == 0


async def test_without_a_retention_no_buyer_is_erased(world: World, app: FastAPI) -> None:
    tenant, _, _ = await sold(world, app, days=None)
    await run(app, DAY, days=5000)
    assert await forget(app) == 0
    assert await names(app) == ["Ada Byron"]
    assert data(await tenant.admin.get(tenant.path()))["buyer_data_days"] is None


async def test_each_organization_has_its_own_retention_and_audit_entry(world: World, app: FastAPI) -> None:
    short, _, _ = await sold(world, app, days=30)
    long, _, _ = await sold(world, app, days=300)
    await run(app, DAY, days=100)
    assert await forget(app) == 1
    entry = data(await short.admin.get(short.path("/audit-log")))[0]
    assert (entry["action"], entry["actor"], entry["after"]) == ("buyers.forgotten", "system:retention", {"orders": 1})
    assert data(await long.admin.get(long.path("/audit-log")))[0]["action"] != "buyers.forgotten"
    assert (await message_counts(app, short.__dict__))["buyers.forgotten"] == 1
    assert sorted(await names(app)) == ["", "Ada Byron"]


@pytest.mark.parametrize("state", ["pending order", "open payment", "open refund", "open dispute"])
async def test_a_buyer_with_an_open_payment_or_refund_is_kept(world: World, app: FastAPI, state: str) -> None:
    tenant, show, order = await sold(world, app)
    if state == "pending order":
        await run(app, "update orders set status = 'pending'")
    elif state == "open payment":
        await order_with_payment(world, show, "Stalls-A-2")
        await run(app, "update orders set status = 'cancelled' where status = 'pending'")
        await run(app, "update orders set buyer_name = '', buyer_email = '' where id = :id", id=order["id"])
    elif state == "open dispute":
        (payment,) = data(await tenant.admin.get(f"/orders/{order['id']}/payments"))
        data(await world.webhook("dispute.created", payment, object_ref="dp_1"))
    else:
        data(await tenant.admin.post(f"/orders/{order['id']}/refunds", {"amount": 100}), 201)
    await run(app, DAY, days=400)
    assert await forget(app) == 0
    assert "Ada Byron" in await names(app)


async def test_a_locked_order_is_left_to_the_next_run(world: World, app: FastAPI) -> None:
    await sold(world, app)
    await run(app, DAY, days=400)
    async with app.state.worker_database.transaction() as busy:
        await busy.execute(text("select 1 from orders for update"))
        assert await asyncio.wait_for(forget(app), 5) == 0
    assert await forget(app) == 1


async def test_many_orders_are_erased_in_batches(world: World, app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticketing.modules.privacy.retention.BATCH_ROWS", 2)
    tenant = await world.tenant()
    data(await tenant.admin.patch(tenant.path(), {"buyer_data_days": 30}))
    show = await world.show(tenant)
    for seat in show.labels[:5]:
        await world.buy(await world.person("ada"), show, seat)
    await run(app, DAY, days=400)
    async with app.state.worker_database.transaction() as session:
        assert await privacy.forget_old_buyers(session) == 2
    assert await forget(app) == 3


@pytest.mark.parametrize("days", [29, 3651, 0, -1, "30", 30.5, True])
async def test_an_invalid_number_of_days_is_refused(world: World, days: object) -> None:
    tenant = await world.tenant()
    error = refusal(await tenant.admin.patch(tenant.path(), {"buyer_data_days": days}), 422)
    assert error["field"].startswith("buyer_data_days")


async def test_the_retention_can_be_removed(world: World) -> None:
    tenant = await world.tenant()
    assert data(await tenant.admin.patch(tenant.path(), {"buyer_data_days": 30}))["buyer_data_days"] == 30
    assert data(await tenant.admin.patch(tenant.path(), {"name": "Other"}))["buyer_data_days"] == 30
    assert data(await tenant.admin.patch(tenant.path(), {"buyer_data_days": None}))["buyer_data_days"] is None


async def test_stored_provider_webhooks_are_emptied_after_their_retention(world: World, app: FastAPI) -> None:
    await sold(world, app)

    async def empty() -> int:
        return await scheduler.run_job(
            "empty", cleaning.empty_payment_events, app.state.get(Settings), app.state.worker_database
        )

    assert await empty() == 0
    await run(app, "update payment_events set processed_at = now() - interval '31 days'")
    assert await empty() == 1
    assert [tuple(row) for row in await rows(app, "select type, body from payment_events")] == [
        ("payment.succeeded", {})
    ]
    assert await empty() == 0
