"""Routes of webhooks: endpoints, their secrets, and their deliveries."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from ticketing.infra.db import Db
from ticketing.infra.http import idempotency
from ticketing.infra.http.envelope import Envelope, envelope
from ticketing.infra.http.pagination import Page
from ticketing.modules import organizations
from ticketing.modules.webhooks import endpoints
from ticketing.modules.webhooks.delivery import deliveries
from ticketing.modules.webhooks.models import DeliveryStatus, WebhookEndpoint
from ticketing.modules.webhooks.schemas import (
    CreateWebhook,
    DeliveryOut,
    NewSecretOut,
    UpdateWebhook,
    WebhookOut,
    WholeDeliveryOut,
)

PATH = "/orgs/{org_id}/webhooks"

Reader = Annotated[organizations.Access, organizations.may(organizations.Permission.READ_WEBHOOKS)]
Editor = Annotated[organizations.Access, organizations.may(organizations.Permission.EDIT_WEBHOOKS)]

router = APIRouter(prefix=PATH, tags=["webhooks"], route_class=idempotency.Route)


@router.post("", status_code=201)
async def create_webhook(body: CreateWebhook, access: Editor, session: Db) -> Envelope[NewSecretOut]:
    """Register a URL for future messages. The secret is shown in this response only."""
    return _with_secret(*await endpoints.create_endpoint(session, access, body.url, list(body.types), body.description))


@router.get("")
async def list_webhooks(page: Page, access: Reader, session: Db) -> Envelope[list[WebhookOut]]:
    """List the webhooks, without their secrets."""
    rows = await endpoints.list_endpoints(session, access.organization_id, page)
    kept, cursor = page.cut(rows, lambda row: [str(row.id)])
    return envelope([WebhookOut.of(row) for row in kept], next_cursor=cursor)


@router.get("/{webhook_id}")
async def get_webhook(webhook_id: UUID, access: Reader, session: Db) -> Envelope[WebhookOut]:
    """Get a webhook, without its secret."""
    return envelope(WebhookOut.of(await endpoints.get_endpoint(session, access.organization_id, webhook_id)))


@router.patch("/{webhook_id}")
async def update_webhook(webhook_id: UUID, body: UpdateWebhook, access: Editor, session: Db) -> Envelope[WebhookOut]:
    """Change the URL, the types or the description, disable, or enable again. Deliveries resume where they stopped."""
    changes = body.model_dump(exclude_unset=True)
    return envelope(WebhookOut.of(await endpoints.update_endpoint(session, access, webhook_id, changes)))


@router.delete("/{webhook_id}")
async def delete_webhook(webhook_id: UUID, access: Editor, session: Db) -> Envelope[None]:
    """Delete a webhook and its deliveries. Nothing is sent to it any more."""
    await endpoints.delete_endpoint(session, access, webhook_id)
    return envelope(None, "Deleted.")


@router.post("/{webhook_id}/rotate-secret")
async def rotate_secret(webhook_id: UUID, access: Editor, session: Db) -> Envelope[NewSecretOut]:
    """Create a new secret, shown once. For 24 hours, deliveries are signed with the old one as well."""
    return _with_secret(*await endpoints.rotate_secret(session, access, webhook_id))


@router.post("/{webhook_id}/test", status_code=201)
async def send_test(webhook_id: UUID, access: Editor, session: Db) -> Envelope[DeliveryOut]:
    """Send a `webhook.test` message to this webhook only."""
    return envelope(DeliveryOut.of(await deliveries.send_test(session, access, webhook_id)))


@router.get("/{webhook_id}/deliveries")
async def list_deliveries(
    webhook_id: UUID, page: Page, access: Reader, session: Db, status: DeliveryStatus | None = None
) -> Envelope[list[DeliveryOut]]:
    """List the deliveries with their attempts, newest message first."""
    rows = await deliveries.list_deliveries(session, access.organization_id, webhook_id, status, page)
    kept, cursor = page.cut(rows, lambda row: [str(row.message_id)])
    return envelope([DeliveryOut.of(row) for row in kept], next_cursor=cursor)


@router.get("/{webhook_id}/deliveries/{message_id}")
async def get_delivery(webhook_id: UUID, message_id: UUID, access: Reader, session: Db) -> Envelope[WholeDeliveryOut]:
    """Get a delivery with the request body that is sent."""
    row = await deliveries.get_delivery(session, access.organization_id, webhook_id, message_id)
    return envelope(WholeDeliveryOut.whole(row))


@router.post("/{webhook_id}/deliveries/{message_id}/redeliver")
async def redeliver(webhook_id: UUID, message_id: UUID, access: Editor, session: Db) -> Envelope[DeliveryOut]:
    """Send a delivery again under the same id, whatever its status."""
    return envelope(DeliveryOut.of(await deliveries.redeliver(session, access, webhook_id, message_id)))


def _with_secret(row: WebhookEndpoint, secret: str) -> Envelope[NewSecretOut]:
    out = NewSecretOut(**WebhookOut.of(row).model_dump(), secret=secret)
    return envelope(out, "Keep this secret: it is not shown again.")
