"""Facts about orders. They carry no name and no address: the log can't be cleaned, and who reacts reads the order."""

from typing import ClassVar, Self
from uuid import UUID

from pydantic import Field

from ticketing.infra import outbox
from ticketing.modules.orders.locked_order import LockedOrder
from ticketing.modules.orders.models import Order


class _OrderFact(outbox.Message):
    """What every fact about an order says; `total_minor` is in minor units of `currency`."""

    key_field: ClassVar[str] = "order_id"

    order_id: UUID
    event_id: UUID
    reservation_id: UUID
    user_id: UUID
    reference: str = Field(description="the order's name, as a person reads it aloud")
    total_minor: int
    currency: str

    @classmethod
    def of(cls, order: Order | LockedOrder, **more: object) -> Self:
        """The fact about this order, as it is at this moment."""
        names = cls.model_fields.keys() - more.keys() - {"order_id"}
        known = {name: getattr(order, name) for name in names}
        return cls.model_validate({"order_id": order.id, **known, **more})


class OrderCreated(_OrderFact):
    """A buyer has said that they want what they hold."""

    topic: ClassVar[str] = "order.created"


class OrderPaid(_OrderFact):
    """The money is there (or none was asked for) and the seats are sold to the order's reservation."""

    topic: ClassVar[str] = "order.paid"


class OrderExpired(_OrderFact):
    """The hold ran out before money came."""

    topic: ClassVar[str] = "order.expired"


class OrderCancelled(_OrderFact):
    """The buyer let the hold go, or the event was cancelled, before money came."""

    topic: ClassVar[str] = "order.cancelled"


class OrderRefunded(_OrderFact):
    """`amount_minor` went back to the buyer just now; `refunded_minor` is all that has gone back so far."""

    topic: ClassVar[str] = "order.refunded"

    amount_minor: int = Field(description="what went back just now")
    refunded_minor: int = Field(description="all that has gone back so far")
    status: str
