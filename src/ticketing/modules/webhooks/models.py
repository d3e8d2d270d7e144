"""Webhook endpoints and their deliveries."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified
from ticketing.infra.outbox import Xid8


class DeliveryStatus(StrEnum):
    """pending -> delivered, or failed after the last attempt. A redelivery makes either pending again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookEndpoint(Identified, Base):
    """A URL to which a tenant's messages are delivered, and its position in the log."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (UniqueConstraint("organization_id", "id"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    url: Mapped[str] = mapped_column(Text)
    #: Topics and prefixes such as `order.*`; none means all.
    types: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    description: Mapped[str] = mapped_column(Text, server_default="")
    #: The encrypted signing secret, and the previous one, which is valid until `old_secret_until`.
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_old_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_secret_until: Mapped[datetime | None]
    #: While it is set, nothing is read for it or sent to it. Both resume from there when it is enabled again.
    disabled_at: Mapped[datetime | None]
    disabled_because: Mapped[str | None] = mapped_column(Text)
    #: Invisible to its tenant. The row is deleted after its deliveries.
    deleted_at: Mapped[datetime | None]
    window_from: Mapped[str] = mapped_column(Xid8)
    window_to: Mapped[str | None] = mapped_column(Xid8)
    last_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    #: Nothing is read for it until then, because it has too many pending deliveries.
    rests_until: Mapped[datetime | None]
    #: The last attempt. Deliveries due since then wait for the receiver, not for the dispatcher.
    tried_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """A message for an endpoint, unique by its key even if it is read twice. `webhook-id` is the id of the message."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "endpoint_id"], ["webhook_endpoints.organization_id", "webhook_endpoints.id"]
        ),
        CheckConstraint("status in ('pending', 'delivered', 'failed')", name="status"),
        CheckConstraint("(status = 'pending') = (due_at is not null)", name="due_at"),
        Index("ix_webhook_deliveries_status", "organization_id", "endpoint_id", "status", "message_id"),
        Index(
            "ix_webhook_deliveries_due",
            "organization_id",
            "endpoint_id",
            "due_at",
            postgresql_where=text("due_at is not null"),
        ),
        Index("ix_webhook_deliveries_ended_at", "ended_at", postgresql_where=text("ended_at is not null")),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    endpoint_id: Mapped[UUID] = mapped_column(primary_key=True)
    message_id: Mapped[UUID] = mapped_column(primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    #: The signed request body, identical in each attempt.
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[DeliveryStatus] = mapped_column(Text, server_default=DeliveryStatus.PENDING)
    #: Attempts begun since it was created or last redelivered. The results of recent ones are in `attempts`.
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    #: The time of the next attempt, by the clock of Postgres. A claim moves it to the time at which the claim expires.
    due_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
