"""Examples of everything that is only read: what identifies it stands in the path, and anybody allowed may ask."""

from tests.sweeps.calls.call import EXAMPLES, Call, Maker
from tests.sweeps.full_tenant import Stage
from ticketing.infra.security.access_tokens import read_token

BY_ADMIN = (
    "/orgs",
    "/orgs/{org_id}",
    "/orgs/{org_id}/audit-log",
    "/orgs/{org_id}/members",
    "/orgs/{org_id}/api-keys",
    "/orgs/{org_id}/venues",
    "/orgs/{org_id}/venues/{venue_id}",
    "/orgs/{org_id}/events",
    "/orgs/{org_id}/events/{event_id}",
    "/orgs/{org_id}/events/{event_id}/ticket-types",
    "/orgs/{org_id}/events/{event_id}/devices",
    "/orgs/{org_id}/events/{event_id}/check-ins/stats",
    "/orgs/{org_id}/events/{event_id}/check-ins/offline-list",
    "/orgs/{org_id}/orders",
    "/orgs/{org_id}/orders.csv",
    "/orgs/{org_id}/feed",
    "/orgs/{org_id}/webhooks",
    "/orgs/{org_id}/webhooks/{webhook_id}",
    "/orgs/{org_id}/webhooks/{webhook_id}/deliveries",
    "/orgs/{org_id}/webhooks/{webhook_id}/deliveries/{message_id}",
)
BY_BUYER = (
    "/me",
    "/me/reservations",
    "/me/orders",
    "/me/tickets",
    "/me/sessions",
    "/reservations/{reservation_id}",
    "/orders/{order_id}",
    "/orders/{order_id}/payments",
    "/orders/{order_id}/tickets",
    "/orders/{order_id}/tickets.pdf",
    "/payments/{payment_id}",
    "/tickets/{ticket_id}",
    "/tickets/{ticket_id}/pdf",
    "/tickets/{ticket_id}/qr.svg",
    "/tickets/{ticket_id}/calendar.ics",
)
BY_ANYBODY = (
    "/events",
    "/events/{event_id}",
    "/events/{event_id}/seats",
    "/events/{event_id}/seatmap",
    "/events/{event_id}/availability",
    "/events/{event_id}/stream",
    "/.well-known/ticketing-keys.json",
    "/health",
    "/health/live",
    "/health/ready",
    "/health/db",
    "/health/cache",
    "/health/bus",
    "/health/alerts",
    "/metrics",
)


def known_ids(stage: Stage) -> dict[str, str]:
    """The stage's own thing for each path parameter that there is."""
    return {
        "org_id": stage.tenant.id,
        "user_id": stage.scanner.id,
        "key_id": stage.key["id"],
        "session_id": str(read_token(stage.buyer.token).session_id),
        "device_id": stage.device["id"],
        "webhook_id": stage.webhook["id"],
        "message_id": stage.delivery["message_id"],
        "venue_id": stage.show.venue_id,
        "event_id": stage.show.id,
        "reservation_id": stage.reservation["id"],
        "order_id": stage.order["id"],
        "payment_id": stage.payment["id"],
        "ticket_id": stage.ticket["id"],
    }


def _reading(path: str, who: str) -> Maker:
    async def read(stage: Stage) -> Call:
        by = {"admin": stage.admin, "buyer": stage.buyer}.get(who)
        ids = {name: value for name, value in known_ids(stage).items() if f"{{{name}}}" in path}
        return Call(by, ids)

    return read


for _paths, _who in ((BY_ADMIN, "admin"), (BY_BUYER, "buyer"), (BY_ANYBODY, "anybody")):
    for _path in _paths:
        EXAMPLES[f"GET {_path}"] = _reading(_path, _who)
