"""Request and response bodies of webhooks and their deliveries."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, model_validator

from ticketing.infra.http.fields import Body, LongText, Moment, Name, Out, ShortName
from ticketing.modules.webhooks.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint
from ticketing.modules.webhooks.topic_filter import TYPES_MAX

Types = Annotated[list[ShortName], Field(max_length=TYPES_MAX)]
Description = Annotated[Name, Field(max_length=200)]


class CreateWebhook(Body):
    """`types`: names of types and prefixes such as `order.*`; none means all."""

    url: LongText
    types: Types = Field(default=[])
    description: Description = Field(default="")


class UpdateWebhook(Body):
    """Omitted fields stay unchanged."""

    url: LongText = Field(default="")
    types: Types = Field(default=[])
    description: Description = Field(default="")
    enabled: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("must have a url, types, a description or enabled")
        return self


class WebhookOut(Out):
    id: UUID
    url: str
    types: list[str]
    description: str
    enabled: bool
    disabled_at: Moment | None
    disabled_because: str | None
    #: Until then, deliveries are signed with the previous secret as well; null without a rotation.
    old_secret_until: Moment | None
    created_at: Moment

    @classmethod
    def of(cls, row: WebhookEndpoint) -> Self:
        return cls(
            id=row.id,
            url=row.url,
            types=row.types,
            description=row.description,
            enabled=row.disabled_at is None,
            disabled_at=row.disabled_at,
            disabled_because=row.disabled_because,
            old_secret_until=row.old_secret_until,
            created_at=row.created_at,
        )


class NewSecretOut(WebhookOut):
    """The only response that contains the secret."""

    secret: str


class AttemptOut(Out):
    """One attempt: either the `status_code` of the response, or the `error` that prevented one."""

    at: Moment
    status_code: int | None
    duration_ms: int
    error: str | None
    snippet: str


class DeliveryOut(Out):
    """A message for an endpoint; `message_id` is sent as the header `webhook-id`."""

    message_id: UUID
    type: str
    status: DeliveryStatus
    attempts: list[AttemptOut]
    next_attempt_at: Moment | None
    created_at: Moment

    @classmethod
    def of(cls, row: WebhookDelivery) -> Self:
        return cls(
            message_id=row.message_id,
            type=row.topic,
            status=row.status,
            attempts=[AttemptOut.model_validate(attempt) for attempt in row.attempts],
            next_attempt_at=row.due_at,
            created_at=row.created_at,
        )


class WholeDeliveryOut(DeliveryOut):
    """A delivery with the request body that is sent."""

    body: str

    @classmethod
    def whole(cls, row: WebhookDelivery) -> Self:
        return cls(**DeliveryOut.of(row).model_dump(), body=row.body)
