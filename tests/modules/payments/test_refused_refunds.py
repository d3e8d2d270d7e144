"""A refund that the provider refuses for good has failed; any other failure is retried."""

import asyncio
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.payments.provider_sale import ProviderSale
from tests.modules.payments.purchases import contradictions, message_counts, payment_of, rows, run
from tests.support.drain import drain, send_refunds
from tests.support.world import World, data
from ticketing.infra.config import Settings
from ticketing.modules import payments
from ticketing.modules.payments.providers import RefundRefused


@pytest.fixture
async def sale(app: FastAPI, world: World) -> ProviderSale:
    return ProviderSale(app, world, await world.show(rows=1, seats=2), await world.person("buyer"))


async def test_a_refused_refund_has_failed_and_its_amount_is_free(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    data(await sale.refund(order, amount=4500, reason="mock: refuse"), 201)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 4500)
    await drain(app)
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 0)
    (refund,) = (await payment_of(sale.admin, payment))["refunds"]
    assert (refund["status"], refund["origin"]) == ("failed", "platform")
    assert refund["failure_reason"] == "The mock provider refuses a refund with this reason."
    assert (await rows(app, "select tries, due_at from refunds"))[0] == (1, None)
    assert (await message_counts(app, order))["refund.failed"] == 1
    assert await send_refunds(app) == 0
    data(await sale.refund(order, amount=4500, reason="Rain"), 201)
    await drain(app)
    assert await sale.money(order, payment) == ("refunded", 4500, "refunded", 4500)
    assert await contradictions(app) == []


async def test_only_a_refusal_ends_the_attempts(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    data(await sale.refund(order, amount=4500), 201)
    payments.use_transport(httpx2.MockTransport(lambda request: httpx2.Response(500)))
    await drain(app)
    (refund,) = await rows(app, "select status, tries from refunds")
    assert (refund.status, refund.tries > 0) == ("requested", True)
    payments.use_transport(httpx2.ASGITransport(app))
    assert await sale.money(order, payment) == ("paid", 0, "succeeded", 4500)


class Refusing:
    """Sends the webhook of a refund that it has paid, and then refuses the repetition of the call."""

    name = "mock"

    def __init__(self, webhook: Any) -> None:
        self.webhook = webhook

    async def refund(self, refund: payments.Refund, payment: payments.Payment) -> str:
        await self.webhook(refund)
        raise RefundRefused("charge_already_refunded")


async def test_a_refusal_after_the_success_changes_nothing(app: FastAPI, sale: ProviderSale) -> None:
    order, payment = await sale.pay("Stalls-A-1")
    data(await sale.refund(order, amount=1000), 201)
    await run(app, "update refunds set due_at = now()")
    database = app.state.worker_database
    (provider,) = payments.list_providers(app.state.get(Settings))
    (claimed,) = await payments.claim_refunds(database, provider, 1)

    async def succeed(refund: payments.Refund) -> None:
        names = {"refund_id": str(refund.id), "amount": 1000}
        await sale.report("refund.succeeded", payment, **names)

    await asyncio.gather(*(payments.send_refund(database, Refusing(succeed), claimed) for _ in range(3)))  # type: ignore[arg-type]
    assert await sale.money(order, payment) == ("partially_refunded", 1000, "succeeded", 1000)
    assert "refund.failed" not in await message_counts(app, order)
    assert await contradictions(app) == []
