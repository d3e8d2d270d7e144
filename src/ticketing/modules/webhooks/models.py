"""Endpoints that are told of facts, and what was brought to them."""

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
    """pending -> delivered, or failed when the last try was in vain; a redelivery makes either pending again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookEndpoint(Identified, Base):
    """An address of the tenant's that facts are brought to, and how far in the log it has been told."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (UniqueConstraint("organization_id", "id"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    url: Mapped[str] = mapped_column(Text)
    #: Topics and prefixes such as `order.*`; none means all.
    types: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    description: Mapped[str] = mapped_column(Text, server_default="")
    #: What signs, encrypted; and for a day after a rotation what signs too.
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_old_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    old_secret_until: Mapped[datetime | None]
    #: Nothing is read for it and nothing sent to it; both go on from there when it is enabled again.
    disabled_at: Mapped[datetime | None]
    disabled_because: Mapped[str | None] = mapped_column(Text)
    #: Gone for its tenant; the row goes when its deliveries have been cleaned away.
    deleted_at: Mapped[datetime | None]
    window_from: Mapped[str] = mapped_column(Xid8)
    window_to: Mapped[str | None] = mapped_column(Xid8)
    last_id: Mapped[int] = mapped_column(BigInteger, server_default="0")
    #: So much waits for it that nothing is read for it until then.
    rests_until: Mapped[datetime | None]
    #: When a worker last had something sent to it; what is due since then waits for its receiver, and not for us.
    tried_at: Mapped[datetime | None]


class WebhookDelivery(Base):
    """A fact on its way to an endpoint: one at most of each, whatever is read twice. `webhook-id` is the message's."""

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
    #: The very text that is signed, the same at each try.
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[DeliveryStatus] = mapped_column(Text, server_default=DeliveryStatus.PENDING)
    #: Begun since it was last asked for; what became of the latest of them all is in `attempts`.
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    #: When it is to be tried next, by Postgres' clock; whoever tries moves it to where the claim runs out.
    due_at: Mapped[datetime | None] = mapped_column(server_default=func.now())
    attempts: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default="[]")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]
