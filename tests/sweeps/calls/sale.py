"""Examples of holds, orders, payments, tickets and check-ins."""

from datetime import UTC, datetime
from uuid import uuid4

from tests.sweeps.calls.call import Call, example
from tests.sweeps.calls.organization import ids
from tests.sweeps.full_tenant import FullTenant


@example("POST /reservations")
async def hold(tenant: FullTenant) -> Call:
    items = [{"ticket_type_id": tenant.show.area_type_id, "quantity": 2}]
    return Call(tenant.buyer, body={"event_id": tenant.show.id, "seats": [tenant.seats.pop()], "items": items})


@example("POST /reservations (the best available)")
async def hold_best(tenant: FullTenant) -> Call:
    best = {"quantity": 2, "category": "Stalls", "section": "Stalls"}
    show = await tenant.world.show(tenant.organization, rows=1, seats=4)
    return Call(tenant.buyer, body={"event_id": show.id, "best_available": best})


@example("POST /reservations/{reservation_id}/extend")
async def extend(tenant: FullTenant) -> Call:
    return Call(tenant.buyer, {"reservation_id": (await tenant.hold())["id"]})


@example("DELETE /reservations/{reservation_id}")
async def cancel_hold(tenant: FullTenant) -> Call:
    return Call(tenant.buyer, {"reservation_id": (await tenant.hold())["id"]})


@example("POST /orders")
async def order(tenant: FullTenant) -> Call:
    buyer = {"email": tenant.buyer.email, "name": "Ada Byron"}
    return Call(tenant.buyer, body={"reservation_id": (await tenant.hold())["id"], "buyer": buyer})


@example("GET /orders/by-reference/{reference}")
async def find_order(tenant: FullTenant) -> Call:
    return Call(None, {"reference": tenant.order["reference"]}, query={"email": tenant.buyer.email})


@example("POST /payments")
async def create_payment(tenant: FullTenant) -> Call:
    return Call(tenant.buyer, body={"order_id": (await tenant.create_order())["id"], "provider": "mock"})


@example("POST /checkout")
async def check_out(tenant: FullTenant) -> Call:
    buyer = {"email": tenant.buyer.email, "name": "Ada Byron"}
    hold = await tenant.hold()
    return Call(tenant.buyer, body={"reservation_id": hold["id"], "buyer": buyer, "provider": "mock"})


@example("POST /payments/webhooks/{provider}")
async def receive_webhook(tenant: FullTenant) -> Call:
    payment = await tenant.world.payment(tenant.buyer, await tenant.create_order())
    body = {
        "id": f"evt_{uuid4().hex}",
        "type": "payment.succeeded",
        "provider_ref": payment["provider_ref"],
        **payment["amount"],
    }
    return Call(None, {"provider": "mock"}, body, is_signed=True)


@example("POST /tickets/{ticket_id}/transfer")
async def transfer(tenant: FullTenant) -> Call:
    _, _, tickets = await tenant.buy()
    return Call(tenant.buyer, {"ticket_id": tickets[0]["id"]}, {"email": (await tenant.world.person()).email})


@example("POST /orders/{order_id}/refunds")
async def refund_tickets(tenant: FullTenant) -> Call:
    order, _, tickets = await tenant.buy()
    body = {"ticket_ids": [tickets[0]["id"]], "amount": 100, "reason": "Ill"}
    return Call(tenant.staff, {"order_id": order["id"]}, body)


@example("POST /orders/{order_id}/refunds (of one payment)")
async def refund_payment(tenant: FullTenant) -> Call:
    order, payment, _ = await tenant.buy()
    return Call(tenant.staff, {"order_id": order["id"]}, {"payment_id": payment["id"], "amount": 100})


@example("POST /orgs/{org_id}/events/{event_id}/check-ins")
async def admit(tenant: FullTenant) -> Call:
    _, _, tickets = await tenant.buy()
    body = {"code": tickets[0]["code"], "gate": "North", "scanned_at": _now(), "nonce": uuid4().hex}
    return Call(tenant.scanner, ids(tenant, event_id=tenant.show.id), body)


@example("POST /orgs/{org_id}/events/{event_id}/check-ins/sync")
async def merge_scans(tenant: FullTenant) -> Call:
    _, _, tickets = await tenant.buy()
    scan = {"code": tickets[0]["code"], "gate": "North", "scanned_at": _now(), "nonce": uuid4().hex}
    return Call(tenant.scanner, ids(tenant, event_id=tenant.show.id), {"scans": [scan]})


def _now() -> str:
    return datetime.now(UTC).isoformat()
