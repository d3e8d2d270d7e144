"""Messages about orders.

They carry no names and no addresses, because the log is append-only and cannot be erased. Consumers read the order.
"""

from typing import ClassVar, Self
from uuid import UUID

from pydantic import Field

from ticketing.infra import outbox
from ticketing.modules.orders.locked_order import LockedOrder
from ticketing.modules.orders.models import Order


class _OrderMessage(outbox.Message):
    """Fields of every message about an order. `total_minor` is in minor units of `currency`."""

    key_field: ClassVar[str] = "order_id"
    subject_field: ClassVar[str | None] = "event_id"

    order_id: UUID
    event_id: UUID
    reservation_id: UUID
    user_id: UUID
    reference: str = Field(description="the reference shown to the buyer, such as 7F3K-9QXM")
    total_minor: int
    currency: str

    @classmethod
    def of(cls, order: Order | LockedOrder, **more: object) -> Self:
        """Build the message from the order's present state."""
        names = cls.model_fields.keys() - more.keys() - {"order_id"}
        known = {name: getattr(order, name) for name in names}
        return cls.model_validate({"order_id": order.id, **known, **more})


class OrderCreated(_OrderMessage):
    """A buyer ordered what they hold."""

    topic: ClassVar[str] = "order.created"


class OrderPaid(_OrderMessage):
    """The payment arrived (or the total is 0), and the seats are sold to the order's reservation."""

    topic: ClassVar[str] = "order.paid"


class OrderExpired(_OrderMessage):
    """The hold expired before a payment arrived."""

    topic: ClassVar[str] = "order.expired"


class OrderCancelled(_OrderMessage):
    """The buyer released the hold, or the event was cancelled, before a payment arrived."""

    topic: ClassVar[str] = "order.cancelled"


class OrderRefunded(_OrderMessage):
    """A refund of `amount_minor` succeeded, or the provider took it back in a dispute."""

    topic: ClassVar[str] = "order.refunded"

    amount_minor: int = Field(description="the amount of this refund")
    refunded_minor: int = Field(description="the sum of all refunds of this order so far")
    status: str


class OrderRefundReversed(_OrderMessage):
    """The money of a refund or chargeback came back: the refund failed after all, or the dispute was won."""

    topic: ClassVar[str] = "order.refund_reversed"

    amount_minor: int = Field(description="the amount of this refund")
    refunded_minor: int = Field(description="the sum of the order's other refunds")
    status: str
