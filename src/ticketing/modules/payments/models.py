"""Tables of payments and refunds, one row per attempt, and of received webhooks."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class PaymentStatus(StrEnum):
    """pending -> failed | superseded | cancelled -> succeeded -> refunded. Only forward: see `settlement`.

    The exception: a payment whose refund failed, or whose dispute was won, is succeeded again.
    """

    PENDING = "pending"
    FAILED = "failed"
    #: Another payment paid the order while this one was pending.
    SUPERSEDED = "superseded"
    #: The buyer gave the hold back, or the event was cancelled. Money that arrives all the same is returned.
    CANCELLED = "cancelled"
    #: The payment arrived and paid the order.
    SUCCEEDED = "succeeded"
    #: All of the payment was or is being refunded: by staff, or because it arrived twice or too late for its seats.
    REFUNDED = "refunded"


class RefundStatus(StrEnum):
    """requested -> sent -> succeeded -> failed; of a chargeback: disputed -> succeeded -> failed. Only forward."""

    #: Decided, and not sent to the provider yet.
    REQUESTED = "requested"
    #: Accepted by the provider.
    SENT = "sent"
    #: The provider has taken the money of a disputed payment, and the dispute is open.
    DISPUTED = "disputed"
    #: The buyer has the money; the dispute of a chargeback was lost.
    SUCCEEDED = "succeeded"
    #: The buyer does not get the money: the provider or the bank refused it, or the dispute was won. Its amount may be
    #: refunded again. Final: providers begin another refund instead of repeating one.
    FAILED = "failed"


#: Refunds whose outcome is not known yet.
INCOMPLETE = frozenset({RefundStatus.REQUESTED, RefundStatus.SENT})
#: Refunds whose money has left, which the order's refunded amount counts.
PAID_OUT = frozenset({RefundStatus.SUCCEEDED, RefundStatus.DISPUTED})


class RefundOrigin(StrEnum):
    """Where a refund began."""

    #: Requested by staff or by the platform.
    PLATFORM = "platform"
    #: Begun at the provider: in its dashboard, or by a dispute.
    PROVIDER = "provider"


class RefundKind(StrEnum):
    """Who asked for the money: its owner gives it back, or the buyer's bank takes it back."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"


#: The effect of a webhook: applied; seen (nothing new); mismatch (it contradicts the payment or its refunds).
Outcome = Literal["applied", "seen", "mismatch"]

#: Limit on a provider's text about a refund, in characters.
FAILURE_REASON_MAX = 500


class Payment(Identified, Base):
    """One attempt to pay an order."""

    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        UniqueConstraint("provider", "provider_ref"),
        ForeignKeyConstraint(["organization_id", "order_id"], ["orders.organization_id", "orders.id"]),
        Index("ix_payments_organization_id_order_id", "organization_id", "order_id"),
        CheckConstraint(
            "status in ('pending', 'failed', 'superseded', 'cancelled', 'succeeded', 'refunded')", name="status"
        ),
        CheckConstraint("provider in ('mock', 'stripe')", name="provider"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("refunded_minor between 0 and amount_minor", name="refunded"),
        Index("uq_payments_one_open", "order_id", unique=True, postgresql_where=text("status = 'pending'")),
        Index("uq_payments_one_success", "order_id", unique=True, postgresql_where=text("status = 'succeeded'")),
    )

    organization_id: Mapped[UUID]
    order_id: Mapped[UUID]
    provider: Mapped[str] = mapped_column(Text)
    #: None until the provider is known to have the payment; see `service`.
    provider_ref: Mapped[str | None] = mapped_column(Text)
    status: Mapped[PaymentStatus] = mapped_column(Text, default=PaymentStatus.PENDING)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    #: Sum of all requested refunds that have not failed.
    refunded_minor: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    currency: Mapped[str] = mapped_column(Text)
    checkout_url: Mapped[str | None] = mapped_column(Text)
    arrived_at: Mapped[datetime | None]
    #: The payment arrived and did not pay the order: its refunds do not change the order.
    is_returned: Mapped[bool] = mapped_column(server_default=false(), default=False)


class Refund(Identified, Base):
    """One attempt to refund a payment, in full or in part, or a chargeback: the money of a disputed payment."""

    __tablename__ = "refunds"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["organization_id", "payment_id"], ["payments.organization_id", "payments.id"]),
        ForeignKeyConstraint(["organization_id", "order_id"], ["orders.organization_id", "orders.id"]),
        Index("ix_refunds_organization_id_order_id", "organization_id", "order_id"),
        Index("ix_refunds_payment_id", "payment_id"),
        Index("ix_refunds_requested", "created_at", postgresql_where=text("status = 'requested'")),
        Index("ix_refunds_provider_ref", "provider_ref"),
        Index("ix_refunds_due", "due_at", postgresql_where=text("status = 'requested'")),
        # A provider's refund or dispute is counted once, whatever the number of its events.
        Index("uq_refunds_provider_ref", "payment_id", "kind", "provider_ref", unique=True),
        CheckConstraint("status in ('requested', 'sent', 'disputed', 'succeeded', 'failed')", name="status"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("origin in ('platform', 'provider')", name="origin"),
        CheckConstraint("origin = 'platform' or provider_ref is not null", name="provider_ref"),
        CheckConstraint("kind = 'refund' or kind = 'chargeback' and origin = 'provider'", name="kind"),
        CheckConstraint("(status = 'disputed') <= (kind = 'chargeback')", name="disputed"),
        CheckConstraint(
            f"(status = 'failed') = (failure_reason is not null) and length(failure_reason) <= {FAILURE_REASON_MAX}",
            name="failure_reason",
        ),
    )

    organization_id: Mapped[UUID]
    payment_id: Mapped[UUID]
    order_id: Mapped[UUID]
    status: Mapped[RefundStatus] = mapped_column(Text, default=RefundStatus.REQUESTED)
    origin: Mapped[RefundOrigin] = mapped_column(Text, server_default="platform", default=RefundOrigin.PLATFORM)
    kind: Mapped[RefundKind] = mapped_column(Text, server_default="refund", default=RefundKind.REFUND)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    #: Why it failed, in the provider's words; empty when the provider gave no reason, or the buyer was erased.
    failure_reason: Mapped[str | None] = mapped_column(Text)
    requested_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    provider_ref: Mapped[str | None] = mapped_column(Text)
    #: While the status is `requested`: when the next attempt is due, None until its message is consumed. A claim moves
    #: it to the end of the claim.
    due_at: Mapped[datetime | None]
    #: Attempts so far.
    tries: Mapped[int] = mapped_column(Integer, server_default="0", default=0)


class PaymentEvent(Base):
    """A verified webhook with its whole body. It has no tenant, because it may arrive before its payment exists."""

    __tablename__ = "payment_events"
    __table_args__ = (
        Index("ix_payment_events_waiting", "received_at", postgresql_where=text("processed_at is null")),
        Index("ix_payment_events_due", "due_at", postgresql_where=text("processed_at is null")),
        Index("ix_payment_events_provider_provider_ref", "provider", "provider_ref"),
        # For the clean-up. The others wait for an operator, and stay.
        Index("ix_payment_events_settled", "processed_at", postgresql_where=text("outcome in ('applied', 'seen')")),
        Index("ix_payment_events_refused", "outcome", postgresql_where=text("outcome in ('mismatch', 'abandoned')")),
        Index("ix_payment_events_with_body", "processed_at", postgresql_where=text("body <> '{}'")),
    )

    provider: Mapped[str] = mapped_column(Text, primary_key=True)
    event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    provider_ref: Mapped[str] = mapped_column(Text)
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    #: The provider's reference of the refund or dispute; see `providers.ProviderEvent`.
    object_ref: Mapped[str | None] = mapped_column(Text)
    refund_id: Mapped[UUID | None]
    #: At most FAILURE_REASON_MAX characters.
    reason: Mapped[str] = mapped_column(Text, server_default="", default="")
    body: Mapped[dict[str, Any]]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
    processed_at: Mapped[datetime | None]
    #: "applied", "seen", "mismatch" or "abandoned"; see `Outcome`.
    outcome: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0", default=0)
    #: While it waits for its payment: when the next try is due.
    due_at: Mapped[datetime] = mapped_column(server_default=text("now() + interval '1 second'"))
