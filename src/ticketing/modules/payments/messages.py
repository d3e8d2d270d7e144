"""Facts about money. The key is the order, so that all facts about one purchase keep their order."""

from typing import ClassVar, Self
from uuid import UUID

from pydantic import Field

from ticketing.infra import outbox
from ticketing.modules.payments.locked_payment import LockedPayment
from ticketing.modules.payments.models import Payment, Refund


class _PaymentFact(outbox.Message):
    """What every fact about a payment says; `amount_minor` is in minor units of `currency`."""

    key_field: ClassVar[str] = "order_id"

    payment_id: UUID
    order_id: UUID
    provider: str
    amount_minor: int
    currency: str

    @classmethod
    def of(cls, payment: Payment | LockedPayment, **more: object) -> Self:
        """The fact about this payment, as it is at this moment."""
        names = cls.model_fields.keys() - more.keys() - {"payment_id"}
        known = {name: getattr(payment, name) for name in names}
        return cls.model_validate({"payment_id": payment.id, **known, **more})


class PaymentCreated(_PaymentFact):
    """A buyer has begun to pay."""

    topic: ClassVar[str] = "payment.created"


class PaymentSucceeded(_PaymentFact):
    """The money arrived and pays the order."""

    topic: ClassVar[str] = "payment.succeeded"


class PaymentFailed(_PaymentFact):
    """The provider says that no money will come of this attempt."""

    topic: ClassVar[str] = "payment.failed"


class PaymentSuperseded(_PaymentFact):
    """Another payment paid the order while this one was open."""

    topic: ClassVar[str] = "payment.superseded"


class PaymentReturned(_PaymentFact):
    """The money arrived, but came twice or too late; all of it goes back."""

    topic: ClassVar[str] = "payment.returned"

    reason: str


class _RefundFact(outbox.Message):
    """What every fact about a refund says; `amount_minor` is in minor units of `currency`."""

    key_field: ClassVar[str] = "order_id"

    refund_id: UUID
    payment_id: UUID
    order_id: UUID
    amount_minor: int
    currency: str
    reason: str
    requested_by: UUID | None = Field(description="the person who asked for it; null: the system")

    @classmethod
    def of(cls, refund: Refund) -> Self:
        """The fact about this refund, as it is at this moment."""
        known = {name: getattr(refund, name) for name in cls.model_fields.keys() - {"refund_id"}}
        return cls.model_validate({"refund_id": refund.id, **known})


class RefundRequested(_RefundFact):
    """Money is to go back; the provider does not know yet."""

    topic: ClassVar[str] = "refund.requested"


class RefundSent(_RefundFact):
    """The provider has taken the refund."""

    topic: ClassVar[str] = "refund.sent"


class RefundSucceeded(_RefundFact):
    """The money is on its way to the buyer for good."""

    topic: ClassVar[str] = "refund.succeeded"
