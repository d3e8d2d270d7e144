"""Request and response bodies of orders."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Self
from uuid import UUID

from ticketing.infra.http.fields import Body, Email, Moment, Money, Name, Out, ShortName
from ticketing.modules import reservations
from ticketing.modules.orders.models import Order, OrderLine, OrderStatus


class Buyer(Body):
    """The buyer. Tickets and the link to the order are sent to this email address."""

    email: Email
    name: Name


class CreateOrder(Body):
    reservation_id: UUID
    buyer: Buyer
    promo_code: ShortName | None = None


class BuyerOut(Out):
    email: str
    name: str


class OrderEventOut(Out):
    """The fields of an event that are shown with an order."""

    id: UUID
    title: str
    starts_at: Moment
    timezone: str
    venue_name: str | None


class OrderRow(NamedTuple):
    """The columns of an order that its response needs."""

    id: UUID
    reference: str
    status: OrderStatus
    organization_id: UUID
    event_id: UUID
    reservation_id: UUID
    buyer_email: str
    buyer_name: str
    total_minor: int
    refunded_minor: int
    currency: str
    created_at: datetime
    paid_at: datetime | None


class LineRow(NamedTuple):
    """The columns of an order's line that its response needs."""

    seat_label: str | None
    ticket_type_id: UUID
    name: str
    quantity: int
    price_minor: int


class OrderLineOut(Out):
    """A seat, or a quantity of a ticket type. `price` is the price of one unit."""

    seat: str | None
    ticket_type_id: UUID
    name: str
    quantity: int
    price: Money

    @classmethod
    def of(cls, line: OrderLine | LineRow | reservations.HeldItem, currency: str) -> Self:
        return cls(
            seat=line.seat_label,
            ticket_type_id=line.ticket_type_id,
            name=line.name,
            quantity=line.quantity,
            price=Money(amount=line.price_minor, currency=currency),
        )


class OrderOut(Out):
    id: UUID
    reference: str
    status: OrderStatus
    organization_id: UUID
    event_id: UUID
    event: OrderEventOut
    reservation_id: UUID
    #: When the hold expires: a pending order can be paid until then.
    expires_at: Moment
    buyer: BuyerOut
    lines: list[OrderLineOut]
    total: Money
    #: The sum of all refunds so far.
    refunded: Money
    created_at: Moment
    paid_at: Moment | None

    @classmethod
    def of(
        cls,
        order: Order | OrderRow,
        lines: Iterable[OrderLine | LineRow | reservations.HeldItem],
        event: OrderEventOut,
        expires_at: Moment,
    ) -> Self:
        return cls(
            id=order.id,
            reference=order.reference,
            status=order.status,
            organization_id=order.organization_id,
            event_id=order.event_id,
            event=event,
            reservation_id=order.reservation_id,
            expires_at=expires_at,
            buyer=BuyerOut(email=order.buyer_email, name=order.buyer_name),
            lines=[OrderLineOut.of(line, order.currency) for line in lines],
            total=Money(amount=order.total_minor, currency=order.currency),
            refunded=Money(amount=order.refunded_minor, currency=order.currency),
            created_at=order.created_at,
            paid_at=order.paid_at,
        )
