"""Refunds by staff: money, tickets, or both, and never more than was paid."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.tickets.ticket_sale import TicketSale, sell_tickets, tickets_of
from tests.support.drain import drain
from tests.support.world import API, Person, World, data, refusal


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    return await sell_tickets(app, world, "Stalls-A-1", "Stalls-A-2")


async def refund(sale: TicketSale, person: Person | None = None, **body: Any) -> httpx2.Response:
    return await (person or sale.admin).post(f"/orders/{sale.order['id']}/refunds", body)


async def statuses(sale: TicketSale) -> list[str]:
    return [ticket["status"] for ticket in await tickets_of(sale.admin, sale.order)]


async def order_of(sale: TicketSale) -> dict[str, Any]:
    await drain(sale.app)
    answer: dict[str, Any] = data(await sale.buyer.get(f"/orders/{sale.order['id']}"))
    return answer


async def free_places(sale: TicketSale) -> int:
    answer = data(await sale.buyer.get(f"/events/{sale.show.id}/availability"))
    free: int = answer["areas"][sale.show.area_type_id]["available"]
    return free


async def test_a_full_refund_voids_every_ticket(sale: TicketSale) -> None:
    made = data(await refund(sale, reason="The singer is ill"), 201)
    assert made["amount"] == {"amount": 9000, "currency": "EUR", "digits": 2}
    assert (made["status"], made["reason"]) == ("requested", "The singer is ill")
    assert made["voided_ticket_ids"] == [ticket["id"] for ticket in sale.tickets]
    assert await statuses(sale) == ["voided", "voided"]
    order = await order_of(sale)
    assert (order["status"], order["refunded"]["amount"]) == ("refunded", 9000)


async def test_a_voided_ticket_has_no_code_and_no_files(sale: TicketSale) -> None:
    data(await refund(sale), 201)
    ticket = f"/tickets/{sale.tickets[0]['id']}"
    seen = data(await sale.buyer.get(ticket))
    assert (seen["status"], seen["code"], seen["qr"]) == ("voided", None, None)
    for name in ("pdf", "qr.svg", "calendar.ics"):
        assert refusal(await sale.buyer.get(f"{ticket}/{name}"), 409)["code"] == "voided"
    assert refusal(await sale.buyer.get(f"/orders/{sale.order['id']}/tickets.pdf"), 409)["code"] == "no_tickets"


async def test_refunding_one_ticket_returns_its_price_and_releases_its_seat(
    app: FastAPI, sale: TicketSale, world: World
) -> None:
    made = data(await refund(sale, ticket_ids=[sale.tickets[1]["id"]]), 201)
    assert made["amount"]["amount"] == 4500
    assert await statuses(sale) == ["issued", "voided"]
    order = await order_of(sale)
    assert (order["status"], order["refunded"]["amount"]) == ("partially_refunded", 4500)
    refusal(await sale.buyer.post("/reservations", {"event_id": sale.show.id, "seats": ["Stalls-A-1"]}), 409)
    next_buyer = await world.person("next")
    again = await world.buy(next_buyer, sale.show, "Stalls-A-2")
    await drain(app)
    (ticket,) = await tickets_of(next_buyer, again)
    assert ticket["seat"] == "Stalls-A-2"
    data(await sale.admin.post(sale.door(), {"code": ticket["code"]}))


async def test_refunding_some_standing_places_releases_them(app: FastAPI, world: World) -> None:
    sale = await sell_tickets(app, world, standing=3, capacity=3)
    assert await free_places(sale) == 0
    made = data(await refund(sale, ticket_ids=[t["id"] for t in sale.tickets[:2]]), 201)
    assert made["amount"]["amount"] == 5000
    assert await statuses(sale) == ["voided", "voided", "issued"]
    await drain(app)
    assert await free_places(sale) == 2


async def test_a_refund_of_money_alone_leaves_the_tickets_valid(sale: TicketSale) -> None:
    made = data(await refund(sale, amount=1000), 201)
    assert (made["amount"]["amount"], made["voided_ticket_ids"]) == (1000, [])
    assert await statuses(sale) == ["issued", "issued"]
    assert (await order_of(sale))["status"] == "partially_refunded"
    data(await sale.admin.post(sale.door(), {"code": sale.code}))


async def test_a_full_refund_after_a_partial_one_refunds_the_remainder(sale: TicketSale) -> None:
    data(await refund(sale, amount=1000), 201)
    assert data(await refund(sale), 201)["amount"]["amount"] == 8000
    assert (await order_of(sale))["status"] == "refunded"


async def test_a_ticket_may_be_refunded_for_less_than_its_price_or_for_nothing(sale: TicketSale) -> None:
    first, second = (ticket["id"] for ticket in sale.tickets)
    assert data(await refund(sale, ticket_ids=[first], amount=4000), 201)["amount"]["amount"] == 4000
    voided = data(await refund(sale, ticket_ids=[second], amount=0), 201)
    assert (voided["id"], voided["status"], voided["amount"]["amount"]) == (None, None, 0)
    assert await statuses(sale) == ["voided", "voided"]
    assert (await order_of(sale))["refunded"]["amount"] == 4000


async def test_free_tickets_are_voided_without_a_refund(app: FastAPI, world: World) -> None:
    show = await world.show(price=0)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1", "Stalls-A-2"))
    await drain(app)
    sale = TicketSale(app, world, show, buyer, order, await tickets_of(buyer, order))
    assert data(await refund(sale, ticket_ids=[sale.tickets[0]["id"]]), 201)["id"] is None
    assert data(await refund(sale), 201)["voided_ticket_ids"] == [sale.tickets[1]["id"]]
    assert refusal(await refund(sale), 409)["code"] == "nothing_to_refund"
    assert refusal(await refund(sale, amount=1), 409)["code"] == "nothing_to_refund"


async def test_a_refund_before_the_tickets_are_issued_leaves_no_valid_ticket(app: FastAPI, world: World) -> None:
    show = await world.show()
    buyer = await world.person("buyer")
    order = await world.buy(buyer, show, "Stalls-A-1")
    sale = TicketSale(app, world, show, buyer, order, [])
    data(await refund(sale), 201)
    await drain(app)
    assert await statuses(sale) == ["voided"]


async def test_refunds_above_the_payment_or_the_ticket_prices_are_refused(sale: TicketSale) -> None:
    first, second = (ticket["id"] for ticket in sale.tickets)
    assert refusal(await refund(sale, amount=9001), 409)["field"] == "amount"
    assert refusal(await refund(sale, ticket_ids=[first], amount=4501), 422)["field"] == "amount"
    data(await refund(sale, amount=6000), 201)
    refused = refusal(await refund(sale, ticket_ids=[second]), 409)
    assert (refused["code"], refused["refundable_minor"]) == ("refund_too_large", 3000)
    assert await statuses(sale) == ["issued", "issued"]


async def test_concurrent_full_refunds_refund_once(sale: TicketSale) -> None:
    answers = await asyncio.gather(*(refund(sale) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert (await order_of(sale))["refunded"]["amount"] == 9000


async def test_the_same_key_refunds_once(sale: TicketSale) -> None:
    path = f"/orders/{sale.order['id']}/refunds"
    first = await sale.admin.post(path, {"amount": 1000}, key="again")
    second = await sale.admin.post(path, {"amount": 1000}, key="again")
    assert second.content == first.content
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (await order_of(sale))["refunded"]["amount"] == 1000


async def test_a_refund_requires_an_idempotency_key(sale: TicketSale) -> None:
    headers = {"Authorization": f"Bearer {sale.admin.token}"}
    path = f"{API}/orders/{sale.order['id']}/refunds"
    refused = refusal(await sale.admin.client.post(path, json={}, headers=headers), 400)
    assert (refused["code"], refused["field"]) == ("idempotency_key_missing", "Idempotency-Key")


async def test_concurrent_check_in_and_refund_end_in_one_status(sale: TicketSale) -> None:
    # The second transaction sees the effect of the first: a checked-in ticket may be voided, but not the reverse.
    scanned, refunded = await asyncio.gather(
        sale.admin.post(sale.door(), {"code": sale.code}), refund(sale, ticket_ids=[sale.tickets[0]["id"]])
    )
    assert refunded.status_code == 201
    assert scanned.status_code in {200, 409}
    assert await statuses(sale) == ["voided", "issued"]
    assert refusal(await sale.admin.post(sale.door(), {"code": sale.code}), 409)["code"] == "voided"


async def test_only_staff_of_the_organization_refund(sale: TicketSale, world: World) -> None:
    stranger, rival = await world.person("stranger"), (await world.tenant("rival")).admin
    scanner = await world.member(sale.show.tenant, "ORG_SCANNER")
    unknown = refusal(await stranger.post(f"/orders/{uuid4()}/refunds", {}), 404)
    for person in (stranger, rival):
        assert refusal(await refund(sale, person), 404) == unknown
    for person in (sale.buyer, scanner):
        assert refusal(await refund(sale, person), 403)["code"] == "forbidden"
    assert await statuses(sale) == ["issued", "issued"]
    data(await refund(sale, await world.member(sale.show.tenant, "ORG_STAFF")), 201)
    log = data(await sale.admin.get(sale.show.tenant.path("/audit-log")))
    assert log[0]["action"] == "order.refunded"


async def test_an_unpaid_order_cannot_be_refunded(app: FastAPI, world: World) -> None:
    show = await world.show()
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    sale = TicketSale(app, world, show, buyer, order, [])
    assert refusal(await refund(sale), 409)["code"] == "not_paid"


async def test_foreign_and_voided_tickets_are_refused_by_id(app: FastAPI, sale: TicketSale, world: World) -> None:
    other = await sell_tickets(app, world)
    for stray in (str(uuid4()), other.tickets[0]["id"]):
        refused = refusal(await refund(sale, ticket_ids=[sale.tickets[0]["id"], stray]), 422)
        assert (refused["field"], refused["ticket_ids"]) == ("ticket_ids", [stray])
    data(await refund(sale, ticket_ids=[sale.tickets[0]["id"]]), 201)
    refused = refusal(await refund(sale, ticket_ids=[ticket["id"] for ticket in sale.tickets]), 409)
    assert (refused["code"], refused["ticket_ids"]) == ("voided", [sale.tickets[0]["id"]])
    assert await statuses(sale) == ["voided", "issued"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": -1}, "amount"),
        ({"amount": 10**13}, "amount"),
        ({"amount": "much"}, "amount"),
        ({"amount": 0}, "amount"),
        ({"ticket_ids": []}, "ticket_ids"),
        ({"ticket_ids": ["x"]}, "ticket_ids.0"),
        ({"ticket_ids": [str(uuid4())] * 2}, "ticket_ids"),
        ({"ticket_ids": [str(uuid4()) for _ in range(1001)]}, "ticket_ids"),
        ({"reason": "\u0000"}, "reason"),
        ({"reason": "x" * 10_001}, "reason"),
        ({"ammount": 5}, "ammount"),
    ],
)
async def test_invalid_input_names_the_field_and_changes_nothing(
    sale: TicketSale, body: dict[str, Any], field: str
) -> None:
    assert refusal(await refund(sale, **body), 422)["field"] == field
    assert await statuses(sale) == ["issued", "issued"]
