"""Tables of orders."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class OrderStatus(StrEnum):
    """pending -> paid -> partially_refunded -> refunded, or pending -> expired | cancelled.

    The money of a refund may come back: the order is paid or partially refunded again.
    """

    PENDING = "pending"
    PAID = "paid"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    #: The hold expired before a payment arrived.
    EXPIRED = "expired"
    #: The buyer released the hold, or the event was cancelled, before a payment arrived.
    CANCELLED = "cancelled"


#: Statuses of an order that has been paid, including orders that were refunded later.
PAID_STATUSES = frozenset({OrderStatus.PAID, OrderStatus.PARTIALLY_REFUNDED, OrderStatus.REFUNDED})


class Order(Identified, Base):
    """A purchase."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        UniqueConstraint("organization_id", "reservation_id"),
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        ForeignKeyConstraint(
            ["organization_id", "reservation_id"], ["reservations.organization_id", "reservations.id"]
        ),
        CheckConstraint(
            "status in ('pending', 'paid', 'partially_refunded', 'refunded', 'expired', 'cancelled')", name="status"
        ),
        CheckConstraint("total_minor >= 0", name="total"),
        CheckConstraint("refunded_minor between 0 and total_minor", name="refunded"),
        Index("ix_orders_organization_id_event_id_id", "organization_id", "event_id", "id"),
        Index("ix_orders_user_id_id", "user_id", "id"),
        Index("ix_orders_organization_id_event_id_buyer_identity", "organization_id", "event_id", "buyer_identity"),
        Index("ix_orders_organization_id_buyer_email", "organization_id", "buyer_email"),
    )

    organization_id: Mapped[UUID]
    event_id: Mapped[UUID]
    reservation_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    #: "7F3K-9QXM": eight symbols of an alphabet of 31 without look-alikes (see `references`).
    reference: Mapped[str] = mapped_column(Text, unique=True)
    status: Mapped[OrderStatus] = mapped_column(Text, default=OrderStatus.PENDING)
    #: Normalized to lower case: `GET /orders/by-reference` compares it. Empty after erasure.
    buyer_email: Mapped[str] = mapped_column(Text)
    #: Hash of the mailbox behind that address, for purchase limits. A trigger sets it when the order is inserted; it
    #: outlives the erasure of the address until the event is over, and is null from then on.
    buyer_identity: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    buyer_name: Mapped[str] = mapped_column(Text)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    refunded_minor: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    currency: Mapped[str] = mapped_column(Text)
    paid_at: Mapped[datetime | None]


class OrderLine(Base):
    """A seat, or a quantity of a ticket type. Name and price are copies: later changes of the event do not apply."""

    __tablename__ = "order_lines"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "order_id"], ["orders.organization_id", "orders.id"]),
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("price_minor >= 0", name="price"),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    seat_number: Mapped[int | None] = mapped_column(Integer)
    seat_label: Mapped[str | None] = mapped_column(Text)
    ticket_type_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(Integer)
    price_minor: Mapped[int] = mapped_column(BigInteger)
