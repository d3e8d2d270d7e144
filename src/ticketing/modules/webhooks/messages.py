"""Facts about endpoints, in the order of each; and what a test brings."""

from typing import ClassVar
from uuid import UUID

from ticketing.infra.outbox import Message


class _EndpointFact(Message):
    key_field: ClassVar[str] = "webhook_id"

    organization_id: UUID
    webhook_id: UUID


class WebhookCreated(_EndpointFact):
    """An address is told of the organization's facts from now on."""

    topic: ClassVar[str] = "webhook.created"


class WebhookUpdated(_EndpointFact):
    """Its address or its types have changed, or it was enabled or disabled by an admin."""

    topic: ClassVar[str] = "webhook.updated"

    enabled: bool


class WebhookDisabled(_EndpointFact):
    """Its receiver is gone (410) or days behind, so nothing is sent until an admin enables it again."""

    topic: ClassVar[str] = "webhook.disabled"


class WebhookDeleted(_EndpointFact):
    """Nothing is sent there any more."""

    topic: ClassVar[str] = "webhook.deleted"


class WebhookSecretRotated(_EndpointFact):
    """A new secret signs; the old one signs too for a day."""

    topic: ClassVar[str] = "webhook.secret_rotated"


class WebhookTest(_EndpointFact):
    """What a test brings to one endpoint. It changes nothing, so it is in no log, and no other endpoint gets it."""

    topic: ClassVar[str] = "webhook.test"
