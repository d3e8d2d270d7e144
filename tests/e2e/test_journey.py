"""The purchase from hold to check-in, and its races, through the public API of a running platform."""

import asyncio
import json

from tests.support.platform import Platform, Viewer, assert_taken_over_in_time, eventually, tickets_of
from tests.support.world import API, World, data, refusal


async def test_a_purchase_from_hold_to_check_in(platform: Platform, world: World) -> None:
    show, buyer = await world.show(seats=10, rows=2, capacity=50), await world.person("ada")
    scanner = await world.member(show.tenant, "ORG_SCANNER")
    items = [{"ticket_type_id": show.area_type_id, "quantity": 2}]
    reservation = await world.hold(buyer, show, "Stalls-A-1", "Stalls-A-2", items=items)
    order = await world.order(buyer, reservation)
    assert order["status"] == "pending"
    payment = await world.payment(buyer, order)
    assert payment["amount"] == {"amount": 2 * 4500 + 2 * 2500, "currency": "EUR", "digits": 2}

    # The buyer presses Pay on the provider's page, and the provider sends its signed webhook.
    paid = await world.client.post(payment["checkout_url"], data={"action": "pay"})
    assert paid.status_code == 303, paid.text
    assert paid.headers["location"].endswith(f"/o/{order['reference']}")
    assert data(await buyer.get(f"/orders/{order['id']}"))["status"] == "paid"

    tickets = await tickets_of(buyer, order, 4)
    assert sorted(t["seat"] for t in tickets if t["seat"]) == ["Stalls-A-1", "Stalls-A-2"]
    for suffix, kind in (("pdf", "application/pdf"), ("qr.svg", "image/svg+xml"), ("calendar.ics", "text/calendar")):
        file = await buyer.get(f"/tickets/{tickets[0]['id']}/{suffix}")
        assert file.status_code == 200
        assert file.headers["content-type"].startswith(kind)

    body = {"code": tickets[0]["code"], "gate": "North"}
    admitted = data(await scanner.post(show.path("/check-ins"), body))
    assert admitted["result"] == "admitted"
    again = refusal(await scanner.post(show.path("/check-ins"), body), 409)
    assert (again["code"], again["gate"]) == ("already_checked_in", "North")
    rows = platform.query(f"select distinct topic from outbox where organization_id = '{show.tenant.id}'")
    expected = {"event.published", "reservation.confirmed", "order.paid", "payment.succeeded", "tickets.issued"}
    assert {topic for (topic,) in rows} >= expected


async def test_fifty_buyers_hold_one_seat_over_real_sockets(platform: Platform, world: World) -> None:
    show = await world.show(seats=3, rows=1)
    buyers = await asyncio.gather(*[world.person() for _ in range(50)])
    body = {"event_id": show.id, "seats": ["Stalls-A-2"]}
    answers = await asyncio.gather(*[buyer.post("/reservations", body) for buyer in buyers])
    assert sorted(a.status_code for a in answers) == [201] + [409] * 49
    assert {a.json()["errors"][0]["code"] for a in answers if a.status_code == 409} <= {
        "seat_unavailable",
        "seat_contended",
    }
    held = platform.query(f"select count(*) from event_seats where event_id = '{show.id}' and status = 'h'")
    assert held == [(1,)]


async def test_thirty_retries_of_one_key_over_two_processes_hold_once(platform: Platform, world: World) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    body = {"event_id": show.id, "seats": ["Stalls-A-1"]}
    answers = await asyncio.gather(*[buyer.post("/reservations", body, key="once") for _ in range(30)])
    made = [a for a in answers if a.status_code == 201]
    assert len({a.content for a in made}) == 1
    assert {a.json()["errors"][0]["code"] for a in answers if a.status_code != 201} <= {"idempotency_in_flight"}
    assert platform.query(f"select count(*) from reservations where event_id = '{show.id}'") == [(1,)]


async def test_ten_shuffled_webhooks_issue_one_set_of_tickets(platform: Platform, world: World) -> None:
    show, buyer = await world.show(seats=4, rows=1), await world.person()
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1", "Stalls-A-2"))
    payment = await world.payment(buyer, order)
    same = {"id": f"evt_{order['id']}"}
    kinds = ["payment.succeeded"] * 10 + ["payment.failed"] * 5
    answers = await asyncio.gather(
        *[world.webhook(k, payment, **(same if k == "payment.succeeded" else {})) for k in kinds]
    )
    assert {a.status_code for a in answers} == {200}
    assert len(await tickets_of(buyer, order, 2)) == 2
    await asyncio.sleep(0.5)  # time in which a second set would come
    assert platform.query(f"select count(*) from tickets where order_id = '{order['id']}'") == [(2,)]
    assert data(await buyer.get(f"/orders/{order['id']}"))["status"] == "paid"


async def test_a_seat_is_free_within_a_second_of_its_expiry(world: World) -> None:
    show, buyer = await world.show(seats=3, rows=1, hold_seconds=5), await world.person()
    held = await world.hold(buyer, show, "Stalls-A-1")
    await assert_taken_over_in_time(await world.person(), held)


async def test_viewers_see_a_seat_held_and_released(world: World) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    async with world.client.stream("GET", f"{API}/events/{show.id}/stream") as stream:
        viewer = Viewer(stream)
        await viewer.until("aaa")
        held = await world.hold(buyer, show, "Stalls-A-2")
        await viewer.until("aha")
        data(await buyer.delete(f"/reservations/{held['id']}"))
        await viewer.until("aaa")


async def test_the_seat_of_a_refunded_ticket_is_free_on_the_map(world: World) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-2"))
    data(await world.webhook("payment.succeeded", await world.payment(buyer, order)))
    ticket = (await tickets_of(buyer, order, 1))[0]
    async with world.client.stream("GET", f"{API}/events/{show.id}/stream") as stream:
        viewer = Viewer(stream)
        await viewer.until("asa")
        refund = {"ticket_ids": [ticket["id"]], "reason": "ill"}
        data(await show.tenant.admin.post(f"/orders/{order['id']}/refunds", refund), 201)
        await viewer.until("aaa")

    async def is_refunded() -> bool:
        return bool(data(await buyer.get(f"/orders/{order['id']}"))["status"] == "refunded")

    assert await eventually(is_refunded)  # the mock provider confirms the refund by webhook
    await world.hold(await world.person(), show, "Stalls-A-2")


async def test_one_correlation_id_from_the_request_to_the_consumers_log(platform: Platform, world: World) -> None:
    show, buyer = await world.show(seats=3, rows=1), await world.person()
    order = await world.order(buyer, await world.hold(buyer, show, "Stalls-A-1"))
    payment = await world.payment(buyer, order)
    answer = await world.webhook("payment.succeeded", payment)
    correlation_id = answer.headers["X-Correlation-ID"]
    await tickets_of(buyer, order, 1)
    query = f"select topic from outbox where correlation_id = '{correlation_id}'"
    assert {row[0] for row in platform.query(query)} >= {"payment.succeeded", "order.paid", "tickets.issued"}
    lines = [json.loads(line) for line in platform.logs("consumers").splitlines() if correlation_id in line]
    assert any(line["event"] == "message_done" and line["topic"] == "order.paid" for line in lines)


async def test_health_metrics_and_api_docs_are_served(world: World) -> None:
    for path in (
        "/health/live",
        "/health/ready",
        "/health/alerts",
        "/health",
        "/health/db",
        "/health/cache",
        "/health/bus",
    ):
        assert (await world.client.get(path)).status_code == 200, path
    text = (await world.client.get("/metrics")).text
    for name in ("http_requests", "holds", "outbox_read", "messages_consumed", "sse_streams", "db_pool_connections"):
        assert f"ticketing_{name}" in text
    paths = (await world.client.get("/openapi.json")).json()["paths"]
    assert f"{API}/reservations" in paths
    assert "https://" not in (await world.client.get("/docs")).text
