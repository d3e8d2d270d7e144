"""Reservations: timed holds of seats or quantities, by one buyer."""

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
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class ReservationStatus(StrEnum):
    """active -> confirmed | expired | cancelled; a late payment may turn expired into confirmed."""

    ACTIVE = "active"
    CONFIRMED = "confirmed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Reservation(Identified, Base):
    """A timed hold."""

    __tablename__ = "reservations"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        CheckConstraint("status in ('active', 'confirmed', 'expired', 'cancelled')", name="status"),
        CheckConstraint("total_minor >= 0", name="total"),
        CheckConstraint("extensions >= 0", name="extensions"),
        Index("ix_reservations_user_id_id", "user_id", "id"),
        Index(
            "ix_reservations_organization_id_event_id_buyer_identity", "organization_id", "event_id", "buyer_identity"
        ),
        # For the clean-up: those that it may delete.
        Index(
            "ix_reservations_ended",
            "ended_at",
            postgresql_where=text("status in ('expired', 'cancelled') and not is_kept"),
        ),
        # For the expiry sweep: active reservations only, by expiry time.
        Index("ix_reservations_running_out", "expires_at", postgresql_where=text("status = 'active'")),
    )

    organization_id: Mapped[UUID]
    event_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    #: Identity of the mailbox of the buyer's account, for purchase limits; null after the person's erasure.
    buyer_identity: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    status: Mapped[ReservationStatus] = mapped_column(Text, default=ReservationStatus.ACTIVE)
    expires_at: Mapped[datetime]
    extensions: Mapped[int] = mapped_column(SmallInteger, server_default="0", default=0)
    total_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    ended_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    #: Set by the clean-up when it finds an order of a hold that has ended: the reservation stays with its order.
    is_kept: Mapped[bool] = mapped_column(server_default="false", default=False)


class ReservationItem(Base):
    """A seat, or a quantity of a ticket type, in a reservation."""

    __tablename__ = "reservation_items"
    __table_args__ = (
        ForeignKeyConstraint(
            ["organization_id", "reservation_id"], ["reservations.organization_id", "reservations.id"]
        ),
        CheckConstraint("quantity >= 1", name="quantity"),
        CheckConstraint("returned between 0 and quantity", name="returned"),
        CheckConstraint("seat_number is null or quantity = 1", name="one_seat"),
        CheckConstraint("(seat_number is null) = (seat_label is null)", name="seat"),
        CheckConstraint("price_minor >= 0", name="price"),
        # The database refuses to confirm a seat for two reservations, even if the code is wrong.
        Index(
            "uq_reservation_items_confirmed_seat",
            "organization_id",
            "event_id",
            "seat_number",
            unique=True,
            postgresql_where=text("is_confirmed and seat_number is not null"),
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    reservation_id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    event_id: Mapped[UUID]
    seat_number: Mapped[int | None] = mapped_column(Integer)
    seat_label: Mapped[str | None] = mapped_column(Text)
    ticket_type_id: Mapped[UUID]
    quantity: Mapped[int] = mapped_column(Integer)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    is_confirmed: Mapped[bool] = mapped_column(server_default="false", default=False)
    #: How many of the quantity were returned after the sale, because their tickets were voided.
    returned: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
