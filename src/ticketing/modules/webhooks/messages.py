"""Messages about endpoints, ordered per endpoint, and the message of a test."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class _EndpointMessage(Message):
    key_field: ClassVar[str] = "webhook_id"

    organization_id: UUID
    webhook_id: UUID


class WebhookCreated(_EndpointMessage):
    """A webhook was created; it receives the organization's messages from now on."""

    topic: ClassVar[str] = "webhook.created"


class WebhookUpdated(_EndpointMessage):
    """The URL, types or description changed, or an admin enabled or disabled the webhook."""

    topic: ClassVar[str] = "webhook.updated"

    enabled: bool


class WebhookDisabled(_EndpointMessage):
    """The receiver is gone (410) or days behind. Nothing is sent until an admin enables the webhook again."""

    topic: ClassVar[str] = "webhook.disabled"


class WebhookDeleted(_EndpointMessage):
    """The webhook was deleted; nothing is sent to it any more."""

    topic: ClassVar[str] = "webhook.deleted"


class WebhookSecretRotated(_EndpointMessage):
    """Deliveries are signed with a new secret, and for 24 hours with the old one as well."""

    topic: ClassVar[str] = "webhook.secret_rotated"


class WebhookTest(_EndpointMessage):
    """A test of one endpoint. It is not in the log, and no other endpoint receives it."""

    topic: ClassVar[str] = "webhook.test"
