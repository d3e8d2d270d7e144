"""Messages about payments and refunds. The key is the order, so that all messages about one purchase stay in order."""

from typing import ClassVar, Self
from uuid import UUID

from pydantic import Field

from ticketing.infra import outbox
from ticketing.modules.payments.locked_payment import LockedPayment
from ticketing.modules.payments.models import Payment, Refund, RefundOrigin


class _PaymentMessage(outbox.Message):
    """Fields of every message about a payment. `amount_minor` is in minor units of `currency`."""

    key_field: ClassVar[str] = "order_id"

    payment_id: UUID
    order_id: UUID
    provider: str
    amount_minor: int
    currency: str

    @classmethod
    def of(cls, payment: Payment | LockedPayment, **more: object) -> Self:
        """Build the message from the payment's present state."""
        names = cls.model_fields.keys() - more.keys() - {"payment_id"}
        known = {name: getattr(payment, name) for name in names}
        return cls.model_validate({"payment_id": payment.id, **known, **more})


class PaymentCreated(_PaymentMessage):
    """A buyer started a payment."""

    topic: ClassVar[str] = "payment.created"


class PaymentSucceeded(_PaymentMessage):
    """The payment arrived and paid the order."""

    topic: ClassVar[str] = "payment.succeeded"


class PaymentFailed(_PaymentMessage):
    """The provider reported that this payment attempt failed."""

    topic: ClassVar[str] = "payment.failed"


class PaymentSuperseded(_PaymentMessage):
    """Another payment paid the order while this one was pending."""

    topic: ClassVar[str] = "payment.superseded"


class PaymentCancelled(_PaymentMessage):
    """The hold was given back, or the event was cancelled, while this payment was pending."""

    topic: ClassVar[str] = "payment.cancelled"


class PaymentReturned(_PaymentMessage):
    """The payment arrived and could not pay the order; `reason` says why. All of it is refunded."""

    topic: ClassVar[str] = "payment.returned"

    reason: str


class _RefundMessage(outbox.Message):
    """Fields of every message about a refund. `amount_minor` is in minor units of `currency`."""

    key_field: ClassVar[str] = "order_id"

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    reason: str = Field(description="empty for one that began at the provider, whose words may be personal")
    requested_by: UUID | None = Field(
        description="the user who requested it; null for a refund by the system, or at the provider"
    )
    origin: RefundOrigin = Field(
        RefundOrigin.PLATFORM, description="`platform`, or `provider` for one that began at the provider"
    )

    @classmethod
    def of(cls, refund: Refund) -> Self:
        """Build the message from the refund's present state."""
        known = {name: getattr(refund, name) for name in cls.model_fields.keys() - {"refund_id"}}
        # The log cannot be erased.
        reason = refund.reason if refund.origin == RefundOrigin.PLATFORM else ""
        return cls.model_validate({"refund_id": refund.id, **known, "reason": reason})


class RefundRequested(_RefundMessage):
    """A refund was decided and has not been sent to the provider yet."""

    topic: ClassVar[str] = "refund.requested"


class RefundSent(_RefundMessage):
    """The provider accepted the refund."""

    topic: ClassVar[str] = "refund.sent"


class RefundSucceeded(_RefundMessage):
    """The provider confirmed the refund."""

    topic: ClassVar[str] = "refund.succeeded"


class RefundRecorded(_RefundMessage):
    """A refund that began at the provider was recorded."""

    topic: ClassVar[str] = "refund.recorded"


class RefundFailed(_RefundMessage):
    """The provider refused the refund, or the money came back. Its amount may be refunded again."""

    topic: ClassVar[str] = "refund.failed"


class DisputeCreated(_RefundMessage):
    """A buyer disputed the payment, and the provider took the money back. `refund_id` is the row of the chargeback."""

    topic: ClassVar[str] = "dispute.created"


class DisputeWon(_RefundMessage):
    """The dispute was won, and the money came back."""

    topic: ClassVar[str] = "dispute.won"


class DisputeLost(_RefundMessage):
    """The dispute was lost: the money is gone."""

    topic: ClassVar[str] = "dispute.lost"
