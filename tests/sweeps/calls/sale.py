"""Examples of holds, orders, payments, tickets and the door."""

from datetime import UTC, datetime
from uuid import uuid4

from tests.sweeps.calls.call import Call, example
from tests.sweeps.calls.organization import ids
from tests.sweeps.full_tenant import Stage


@example("POST /reservations")
async def hold(stage: Stage) -> Call:
    items = [{"ticket_type_id": stage.show.area_type_id, "quantity": 2}]
    return Call(stage.buyer, body={"event_id": stage.show.id, "seats": [stage.seats.pop()], "items": items})


@example("POST /reservations (the best available)")
async def hold_best(stage: Stage) -> Call:
    best = {"quantity": 2, "category": "Stalls", "section": "Stalls"}
    show = await stage.world.show(stage.tenant, rows=1, seats=4)
    return Call(stage.buyer, body={"event_id": show.id, "best_available": best})


@example("POST /reservations/{reservation_id}/extend")
async def extend(stage: Stage) -> Call:
    return Call(stage.buyer, {"reservation_id": (await stage.hold())["id"]})


@example("DELETE /reservations/{reservation_id}")
async def let_go(stage: Stage) -> Call:
    return Call(stage.buyer, {"reservation_id": (await stage.hold())["id"]})


@example("POST /orders")
async def order(stage: Stage) -> Call:
    buyer = {"email": stage.buyer.email, "name": "Ada Byron"}
    return Call(stage.buyer, body={"reservation_id": (await stage.hold())["id"], "buyer": buyer})


@example("GET /orders/by-reference/{reference}")
async def find_order(stage: Stage) -> Call:
    return Call(None, {"reference": stage.order["reference"]}, query={"email": stage.buyer.email})


@example("POST /payments")
async def pay(stage: Stage) -> Call:
    return Call(stage.buyer, body={"order_id": (await stage.pend())["id"], "provider": "mock"})


@example("POST /payments/webhooks/{provider}")
async def take_money(stage: Stage) -> Call:
    payment = await stage.world.payment(stage.buyer, await stage.pend())
    body = {
        "id": f"evt_{uuid4().hex}",
        "type": "payment.succeeded",
        "provider_ref": payment["provider_ref"],
        **payment["amount"],
    }
    return Call(None, {"provider": "mock"}, body, is_signed=True)


@example("POST /tickets/{ticket_id}/transfer")
async def transfer(stage: Stage) -> Call:
    _, _, tickets = await stage.buy()
    return Call(stage.buyer, {"ticket_id": tickets[0]["id"]}, {"email": (await stage.world.person()).email})


@example("POST /orders/{order_id}/refunds")
async def refund_tickets(stage: Stage) -> Call:
    order, _, tickets = await stage.buy()
    body = {"ticket_ids": [tickets[0]["id"]], "amount": 100, "reason": "Ill"}
    return Call(stage.staff, {"order_id": order["id"]}, body)


@example("POST /orgs/{org_id}/events/{event_id}/check-ins")
async def admit(stage: Stage) -> Call:
    _, _, tickets = await stage.buy()
    body = {"code": tickets[0]["code"], "gate": "North", "scanned_at": _now(), "nonce": uuid4().hex}
    return Call(stage.scanner, ids(stage, event_id=stage.show.id), body)


@example("POST /orgs/{org_id}/events/{event_id}/check-ins/sync")
async def merge_scans(stage: Stage) -> Call:
    _, _, tickets = await stage.buy()
    scan = {"code": tickets[0]["code"], "gate": "North", "scanned_at": _now(), "nonce": uuid4().hex}
    return Call(stage.scanner, ids(stage, event_id=stage.show.id), {"scans": [scan]})


def _now() -> str:
    return datetime.now(UTC).isoformat()
