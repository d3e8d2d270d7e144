"""What a refund or dispute at the payment provider does to tickets: as the organization has set it."""

from typing import Any

import pytest
from fastapi import FastAPI

from tests.modules.payments.purchases import contradictions, rows
from tests.modules.tickets.ticket_sale import TicketSale, sell_tickets, tickets_of
from tests.support.drain import drain
from tests.support.world import World, data, refusal
from ticketing.modules import payments, tickets


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    """Two tickets of an organization that voids them."""
    sale = await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2")
    changed = await sale.admin.patch(sale.show.tenant.path(), {"provider_refund_tickets": "void"})
    assert data(changed)["provider_refund_tickets"] == "void"
    return sale


async def report(sale: TicketSale, kind: str, ref: str = "re_1", **changes: Any) -> None:
    (payment,) = data(await sale.buyer.get(f"/orders/{sale.order['id']}/payments"))
    data(await sale.world.webhook(kind, payment, object_ref=ref, **changes))


async def deliver_again(app: FastAPI) -> None:
    """Handle the messages that void tickets once more."""
    for kind in (payments.RefundSucceeded, payments.DisputeCreated):
        for row in await rows(app, "select payload from outbox where topic = :topic", topic=kind.topic):
            async with app.state.worker_database.transaction() as session:
                await tickets.void_refunded(session, kind.model_validate(row.payload))


async def statuses(sale: TicketSale) -> list[str]:
    await drain(sale.app)
    return [ticket["status"] for ticket in await tickets_of(sale.admin, sale.order)]


@pytest.mark.parametrize("kind", ["refund.succeeded", "dispute.lost"])
async def test_all_of_the_money_voids_all_tickets(app: FastAPI, sale: TicketSale, world: World, kind: str) -> None:
    data(await sale.admin.post(sale.door(), {"code": sale.code}))
    await report(sale, kind)
    assert await statuses(sale) == ["voided", "voided"]
    again = await world.buy(await world.person("next"), sale.show, "Stalls-A-1")
    log = data(await sale.admin.get(sale.show.tenant.path("/audit-log")))
    entry = next(each for each in log if each["action"] == "tickets.voided")
    assert (entry["actor"], entry["subject"]) == ("provider:mock", f"order:{sale.order['id']}")
    assert len(entry["after"]["ticket_ids"]) == 2
    assert again["status"] == "paid"
    await deliver_again(app)
    assert await statuses(sale) == ["voided", "voided"]
    assert len(await rows(app, "select from outbox where topic = 'tickets.voided'")) == 1
    assert await contradictions(app) == []


async def test_a_part_of_the_money_voids_nothing(sale: TicketSale) -> None:
    await report(sale, "refund.succeeded", amount=4500)
    assert await statuses(sale) == ["issued", "issued"]
    await report(sale, "refund.created", "re_2", amount=4500)
    assert await statuses(sale) == ["issued", "issued"], "the rest has not left yet"
    await report(sale, "refund.succeeded", "re_2", amount=4500)
    assert await statuses(sale) == ["voided", "voided"]


async def test_tickets_are_kept_by_default(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, "Stalls-A-1")
    await report(sale, "dispute.created")
    assert await statuses(sale) == ["issued"]
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {}), 201)
    assert await statuses(sale) == ["voided"], "staff void the tickets of an order that is refunded"


async def test_a_refund_by_staff_voids_what_staff_chose(sale: TicketSale) -> None:
    data(await sale.admin.post(f"/orders/{sale.order['id']}/refunds", {"amount": 9000}), 201)
    assert await statuses(sale) == ["issued", "issued"]


async def test_a_won_dispute_issues_no_ticket_again(app: FastAPI, sale: TicketSale) -> None:
    await report(sale, "dispute.created")
    assert await statuses(sale) == ["voided", "voided"]
    await report(sale, "dispute.won")
    assert await statuses(sale) == ["voided", "voided"]
    order = data(await sale.buyer.get(f"/orders/{sale.order['id']}"))
    assert (order["status"], order["refunded"]["amount"]) == ("paid", 0)
    assert await contradictions(app) == []


async def test_a_dispute_that_is_won_at_once_voids_nothing(sale: TicketSale) -> None:
    await report(sale, "dispute.created")
    await report(sale, "dispute.won")
    assert await statuses(sale) == ["issued", "issued"]


async def test_tickets_that_are_not_issued_yet_are_voided_too(app: FastAPI, world: World) -> None:
    show, buyer = await world.show(), await world.person("buyer")
    data(await show.tenant.admin.patch(show.tenant.path(), {"provider_refund_tickets": "void"}))
    sale = TicketSale(app, world, show, buyer, await world.buy(buyer, show, "Stalls-A-1"), [])
    await report(sale, "refund.succeeded")
    assert await statuses(sale) == ["voided"]


async def test_the_setting_takes_two_values(sale: TicketSale) -> None:
    for value in ("maybe", None, 1, ""):
        refused = refusal(await sale.admin.patch(sale.show.tenant.path(), {"provider_refund_tickets": value}), 422)
        assert refused["field"] == "provider_refund_tickets"
