"""Examples of all reads that need only the ids in their path."""

from sqlalchemy import func, update

from tests.support.drain import drain
from tests.sweeps.calls.call import EXAMPLES, Call, CallBuilder
from tests.sweeps.full_tenant import FullTenant
from ticketing.infra.security.access_tokens import read_token
from ticketing.modules import webhooks
from ticketing.modules.webhooks.models import WebhookEndpoint

BY_ADMIN = (
    "/orgs",
    "/orgs/{org_id}",
    "/orgs/{org_id}/audit-log",
    "/orgs/{org_id}/members",
    "/orgs/{org_id}/invitations",
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
    "/me/invitations",
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
UNAUTHENTICATED = (
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


#: They return 503 if the work of the workers, which do not run in the sweeps, is late.
LATE_WITHOUT_WORKERS = ("/health/bus", "/health/alerts")


def known_ids(tenant: FullTenant) -> dict[str, str]:
    """The id of the tenant's resource for each path parameter."""
    return {
        "org_id": tenant.organization.id,
        "user_id": tenant.scanner.id,
        "key_id": tenant.key["id"],
        "session_id": str(read_token(tenant.buyer.token).session_id),
        "invitation_id": tenant.invitation["id"],
        "device_id": tenant.device["id"],
        "webhook_id": tenant.webhook["id"],
        "message_id": tenant.delivery["message_id"],
        "venue_id": tenant.show.venue_id,
        "event_id": tenant.show.id,
        "reservation_id": tenant.reservation["id"],
        "order_id": tenant.order["id"],
        "payment_id": tenant.payment["id"],
        "ticket_id": tenant.ticket["id"],
    }


def _read_example(path: str, role: str) -> CallBuilder:
    async def read(tenant: FullTenant) -> Call:
        if path in LATE_WITHOUT_WORKERS:
            await _catch_up(tenant)
        caller = {"admin": tenant.admin, "buyer": tenant.buyer}.get(role)
        ids = {name: value for name, value in known_ids(tenant).items() if f"{{{name}}}" in path}
        return Call(caller, ids)

    return read


async def _catch_up(tenant: FullTenant) -> None:
    """Consume the log, fan out webhooks, and record an attempt for every endpoint."""
    await drain(tenant.app)
    database = tenant.app.state.worker_database
    while await webhooks.fan_out(database):
        continue
    async with database.transaction() as session:
        await session.execute(update(WebhookEndpoint).values(tried_at=func.now()))


for _paths, _role in ((BY_ADMIN, "admin"), (BY_BUYER, "buyer"), (UNAUTHENTICATED, "anonymous")):
    for _path in _paths:
        EXAMPLES[f"GET {_path}"] = _read_example(_path, _role)
