import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI

from tests.modules.tickets.stage import Stage, set_stage, tickets_of
from tests.support.drain import drain
from tests.support.world import API, Person, World, data, refusal


@pytest.fixture
async def stage(app: FastAPI, world: World) -> Stage:
    return await set_stage(app, world, "Stalls-A-1", "Stalls-A-2")


async def refund(stage: Stage, person: Person | None = None, **body: Any) -> httpx2.Response:
    return await (person or stage.admin).post(f"/orders/{stage.order['id']}/refunds", body)


async def statuses(stage: Stage) -> list[str]:
    return [ticket["status"] for ticket in await tickets_of(stage.admin, stage.order)]


async def order_of(stage: Stage) -> dict[str, Any]:
    await drain(stage.app)
    answer: dict[str, Any] = data(await stage.buyer.get(f"/orders/{stage.order['id']}"))
    return answer


async def free_places(stage: Stage) -> int:
    answer = data(await stage.buyer.get(f"/events/{stage.show.id}/availability"))
    free: int = answer["areas"][stage.show.area_type_id]["available"]
    return free


async def test_everything_goes_back_and_every_ticket_is_voided(stage: Stage) -> None:
    made = data(await refund(stage, reason="The singer is ill"), 201)
    assert made["amount"] == {"amount": 9000, "currency": "EUR"}
    assert (made["status"], made["reason"]) == ("requested", "The singer is ill")
    assert made["voided_ticket_ids"] == [ticket["id"] for ticket in stage.tickets]
    assert await statuses(stage) == ["voided", "voided"]
    order = await order_of(stage)
    assert (order["status"], order["refunded"]["amount"]) == ("refunded", 9000)


async def test_a_voided_ticket_shows_no_code_and_is_not_printed(stage: Stage) -> None:
    data(await refund(stage), 201)
    ticket = f"/tickets/{stage.tickets[0]['id']}"
    seen = data(await stage.buyer.get(ticket))
    assert (seen["status"], seen["code"], seen["qr"]) == ("voided", None, None)
    for name in ("pdf", "qr.svg", "calendar.ics"):
        assert refusal(await stage.buyer.get(f"{ticket}/{name}"), 409)["code"] == "voided"
    assert refusal(await stage.buyer.get(f"/orders/{stage.order['id']}/tickets.pdf"), 409)["code"] == "no_tickets"


async def test_one_ticket_goes_back_with_its_price_and_its_seat_is_on_sale_again(
    app: FastAPI, stage: Stage, world: World
) -> None:
    made = data(await refund(stage, ticket_ids=[stage.tickets[1]["id"]]), 201)
    assert made["amount"]["amount"] == 4500
    assert await statuses(stage) == ["issued", "voided"]
    order = await order_of(stage)
    assert (order["status"], order["refunded"]["amount"]) == ("partially_refunded", 4500)
    refusal(await stage.buyer.post("/reservations", {"event_id": stage.show.id, "seats": ["Stalls-A-1"]}), 409)
    next_buyer = await world.person("next")
    again = await world.buy(next_buyer, stage.show, "Stalls-A-2")
    await drain(app)
    (ticket,) = await tickets_of(next_buyer, again)
    assert ticket["seat"] == "Stalls-A-2"
    data(await stage.admin.post(stage.door(), {"code": ticket["code"]}))


async def test_some_standing_places_of_a_line_go_back(app: FastAPI, world: World) -> None:
    stage = await set_stage(app, world, standing=3, capacity=3)
    assert await free_places(stage) == 0
    made = data(await refund(stage, ticket_ids=[t["id"] for t in stage.tickets[:2]]), 201)
    assert made["amount"]["amount"] == 5000
    assert await statuses(stage) == ["voided", "voided", "issued"]
    await drain(app)
    assert await free_places(stage) == 2


async def test_money_alone_goes_back_and_the_tickets_stay(stage: Stage) -> None:
    made = data(await refund(stage, amount=1000), 201)
    assert (made["amount"]["amount"], made["voided_ticket_ids"]) == (1000, [])
    assert await statuses(stage) == ["issued", "issued"]
    assert (await order_of(stage))["status"] == "partially_refunded"
    data(await stage.admin.post(stage.door(), {"code": stage.code}))


async def test_after_some_money_the_rest_is_all_that_is_left(stage: Stage) -> None:
    data(await refund(stage, amount=1000), 201)
    assert data(await refund(stage), 201)["amount"]["amount"] == 8000
    assert (await order_of(stage))["status"] == "refunded"


async def test_a_ticket_may_go_back_for_less_than_its_price_or_for_nothing(stage: Stage) -> None:
    first, second = (ticket["id"] for ticket in stage.tickets)
    assert data(await refund(stage, ticket_ids=[first], amount=4000), 201)["amount"]["amount"] == 4000
    voided = data(await refund(stage, ticket_ids=[second], amount=0), 201)
    assert (voided["id"], voided["status"], voided["amount"]["amount"]) == (None, None, 0)
    assert await statuses(stage) == ["voided", "voided"]
    assert (await order_of(stage))["refunded"]["amount"] == 4000


async def test_tickets_that_cost_nothing_are_voided_without_money(app: FastAPI, world: World) -> None:
    show = await world.show(price=0)
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1", "Stalls-A-2"))
    await drain(app)
    stage = Stage(app, world, show, buyer, order, await tickets_of(buyer, order))
    assert data(await refund(stage, ticket_ids=[stage.tickets[0]["id"]]), 201)["id"] is None
    assert data(await refund(stage), 201)["voided_ticket_ids"] == [stage.tickets[1]["id"]]
    assert refusal(await refund(stage), 409)["code"] == "nothing_to_refund"
    assert refusal(await refund(stage, amount=1), 409)["code"] == "nothing_to_refund"


async def test_a_refund_that_overtakes_the_issue_leaves_no_ticket_that_opens_a_door(app: FastAPI, world: World) -> None:
    show = await world.show()
    buyer = await world.person("buyer")
    order = await world.buy(buyer, show, "Stalls-A-1")
    stage = Stage(app, world, show, buyer, order, [])
    data(await refund(stage), 201)
    await drain(app)
    assert await statuses(stage) == ["voided"]


async def test_more_than_was_paid_or_than_the_tickets_cost_is_refused(stage: Stage) -> None:
    first, second = (ticket["id"] for ticket in stage.tickets)
    assert refusal(await refund(stage, amount=9001), 409)["field"] == "amount"
    assert refusal(await refund(stage, ticket_ids=[first], amount=4501), 422)["field"] == "amount"
    data(await refund(stage, amount=6000), 201)
    refused = refusal(await refund(stage, ticket_ids=[second]), 409)
    assert (refused["code"], refused["refundable_minor"]) == ("refund_too_large", 3000)
    assert await statuses(stage) == ["issued", "issued"]


async def test_the_whole_money_goes_back_once_however_many_ask_at_once(stage: Stage) -> None:
    answers = await asyncio.gather(*(refund(stage) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    assert (await order_of(stage))["refunded"]["amount"] == 9000


async def test_the_same_key_refunds_once(stage: Stage) -> None:
    path = f"/orders/{stage.order['id']}/refunds"
    first = await stage.admin.post(path, {"amount": 1000}, key="again")
    second = await stage.admin.post(path, {"amount": 1000}, key="again")
    assert second.content == first.content
    assert second.headers["Idempotency-Replayed"] == "true"
    assert (await order_of(stage))["refunded"]["amount"] == 1000


async def test_a_refund_needs_a_key(stage: Stage) -> None:
    headers = {"Authorization": f"Bearer {stage.admin.token}"}
    path = f"{API}/orders/{stage.order['id']}/refunds"
    refused = refusal(await stage.admin.client.post(path, json={}, headers=headers), 400)
    assert (refused["code"], refused["field"]) == ("idempotency_key_missing", "Idempotency-Key")


async def test_a_ticket_is_checked_in_or_voided_and_the_door_and_the_office_agree(stage: Stage) -> None:
    # Both at once: whoever comes second sees what the first has done; a used ticket may be voided, not the reverse.
    scanned, refunded = await asyncio.gather(
        stage.admin.post(stage.door(), {"code": stage.code}), refund(stage, ticket_ids=[stage.tickets[0]["id"]])
    )
    assert refunded.status_code == 201
    assert scanned.status_code in {200, 409}
    assert await statuses(stage) == ["voided", "issued"]
    assert refusal(await stage.admin.post(stage.door(), {"code": stage.code}), 409)["code"] == "voided"


async def test_only_staff_of_the_organization_refund(stage: Stage, world: World) -> None:
    stranger, rival = await world.person("stranger"), (await world.tenant("rival")).admin
    scanner = await world.member(stage.show.tenant, "ORG_SCANNER")
    unknown = refusal(await stranger.post(f"/orders/{uuid4()}/refunds", {}), 404)
    for person in (stranger, rival):
        assert refusal(await refund(stage, person), 404) == unknown
    for person in (stage.buyer, scanner):
        assert refusal(await refund(stage, person), 403)["code"] == "forbidden"
    assert await statuses(stage) == ["issued", "issued"]
    data(await refund(stage, await world.member(stage.show.tenant, "ORG_STAFF")), 201)
    log = data(await stage.admin.get(stage.show.tenant.path("/audit-log")))
    assert log[0]["action"] == "order.refunded"


async def test_an_order_that_is_not_paid_has_nothing_to_give_back(app: FastAPI, world: World) -> None:
    show = await world.show()
    buyer = await world.person("buyer")
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    stage = Stage(app, world, show, buyer, order, [])
    assert refusal(await refund(stage), 409)["code"] == "not_paid"


async def test_tickets_of_another_order_and_voided_ones_are_refused_by_name(
    app: FastAPI, stage: Stage, world: World
) -> None:
    other = await set_stage(app, world)
    for stray in (str(uuid4()), other.tickets[0]["id"]):
        refused = refusal(await refund(stage, ticket_ids=[stage.tickets[0]["id"], stray]), 422)
        assert (refused["field"], refused["ticket_ids"]) == ("ticket_ids", [stray])
    data(await refund(stage, ticket_ids=[stage.tickets[0]["id"]]), 201)
    refused = refusal(await refund(stage, ticket_ids=[ticket["id"] for ticket in stage.tickets]), 409)
    assert (refused["code"], refused["ticket_ids"]) == ("voided", [stage.tickets[0]["id"]])
    assert await statuses(stage) == ["voided", "issued"]


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
async def test_bad_input_is_named_and_changes_nothing(stage: Stage, body: dict[str, Any], field: str) -> None:
    assert refusal(await refund(stage, **body), 422)["field"] == field
    assert await statuses(stage) == ["issued", "issued"]
