"""Tables of events, ticket types and seats. The seat row alone defines the owner of a seat."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class EventStatus(StrEnum):
    """draft -> published -> cancelled | completed; a draft may be cancelled too."""

    #: Visible to its organization only; nothing can be held.
    DRAFT = "draft"
    #: Public; on sale while the sale window is open.
    PUBLISHED = "published"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


class SeatStatus(StrEnum):
    """A seat's status; the map and the table store its first letter."""

    AVAILABLE = "a"
    HELD = "h"
    SOLD = "s"
    BLOCKED = "b"


class Event(Identified, Base):
    """The concert, match or show."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["organization_id", "venue_id"], ["venues.organization_id", "venues.id"]),
        CheckConstraint("status in ('draft', 'published', 'cancelled', 'completed')", name="status"),
        CheckConstraint("status <> 'published' or published_at is not null", name="published_at"),
        CheckConstraint("hold_seconds between 5 and 3600", name="hold_seconds"),
        CheckConstraint("max_per_order between 1 and 1000", name="max_per_order"),
        CheckConstraint("max_per_buyer between 1 and 1000", name="max_per_buyer"),
        CheckConstraint("max_held_per_buyer between 1 and 100000", name="max_held_per_buyer"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("ends_at is null or ends_at > starts_at", name="ends_after_start"),
        CheckConstraint("sales_end_at > sales_start_at", name="sale_window"),
        # For the policy that shows venues of published events.
        Index("ix_events_organization_id_venue_id", "organization_id", "venue_id"),
        Index("ix_events_public", "starts_at", "id", postgresql_where=text("status = 'published'")),
        Index(
            "ix_events_search",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
            postgresql_where=text("status = 'published'"),
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    venue_id: Mapped[UUID | None]
    #: The plan that seats/sync copied; null until then.
    plan_version: Mapped[int | None] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(Text)
    #: A line each for the title, the venue's name and its city, without accents and case. Triggers write it.
    search_text: Mapped[str] = mapped_column(Text, server_default="", deferred=True)
    description: Mapped[str | None] = mapped_column(Text)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    #: IANA name; the venue's, if there is one. The event's times are meant and shown in it.
    timezone: Mapped[str] = mapped_column(Text)
    currency: Mapped[str] = mapped_column(Text)
    sales_start_at: Mapped[datetime | None]
    sales_end_at: Mapped[datetime | None]
    hold_seconds: Mapped[int] = mapped_column(Integer)
    max_per_order: Mapped[int] = mapped_column(Integer)
    #: Over all orders of one person; null for no limit.
    max_per_buyer: Mapped[int | None] = mapped_column(Integer)
    #: Held by one account at one time; null for the platform's setting HELD_PLACES_MAX.
    max_held_per_buyer: Mapped[int | None] = mapped_column(Integer)
    status: Mapped[EventStatus] = mapped_column(Text, default=EventStatus.DRAFT)
    #: Null until the event is published: for drafts, cancelled ones included.
    published_at: Mapped[datetime | None]
    #: Incremented by each change that entries in calendars have to follow: the SEQUENCE of every calendar file.
    calendar_sequence: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    #: Time of the last such change, or of the creation.
    calendar_changed_at: Mapped[datetime] = mapped_column(server_default=func.now())

    @property
    def ids(self) -> dict[str, Any]:
        """The ids of its organization and itself, as its messages have them."""
        return {"organization_id": self.organization_id, "event_id": self.id}

    @property
    def is_public(self) -> bool:
        return self.published_at is not None


class TicketType(Identified, Base):
    """Prices the seats of its categories, or has a capacity of its own (general admission)."""

    __tablename__ = "ticket_types"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        UniqueConstraint("event_id", "name"),
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        Index("ix_ticket_types_organization_id_event_id", "organization_id", "event_id"),
        CheckConstraint("price_minor >= 0", name="price"),
        CheckConstraint("held >= 0 and sold >= 0", name="counters"),
        CheckConstraint("held + sold <= coalesce(capacity, 0)", name="capacity"),
        CheckConstraint("max_per_order between 1 and 1000", name="max_per_order"),
    )

    organization_id: Mapped[UUID]
    event_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    price_minor: Mapped[int] = mapped_column(BigInteger)
    #: Number of general-admission places. Null for a type that prices seats.
    capacity: Mapped[int | None] = mapped_column(Integer)
    held: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    sold: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
    max_per_order: Mapped[int | None] = mapped_column(Integer)


class CategoryPrice(Base):
    """The ticket type that prices a category of seats; one per category."""

    __tablename__ = "category_prices"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        ForeignKeyConstraint(
            ["organization_id", "ticket_type_id"], ["ticket_types.organization_id", "ticket_types.id"]
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(Text, primary_key=True)
    ticket_type_id: Mapped[UUID]


class EventSeat(Base):
    """A seat of one event. The row is narrow, because it is the most contended one; its position is in the plan.

    A trigger refuses to give a sold seat, or a seat under an active hold, to another reservation.
    """

    __tablename__ = "event_seats"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        UniqueConstraint("organization_id", "event_id", "label"),
        CheckConstraint("status in ('a', 'h', 's', 'b')", name="status"),
        CheckConstraint("(status in ('h', 's')) = (reservation_id is not null)", name="owner"),
        CheckConstraint("(status = 'h') = (held_until is not null)", name="held_until"),
        # Free space for HOT updates: a seat changes its status several times.
        {"postgresql_with": {"fillfactor": "70"}},
    )

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    label: Mapped[str] = mapped_column(Text)
    category: Mapped[str] = mapped_column(Text)
    status: Mapped[SeatStatus] = mapped_column(Text, server_default="a", default=SeatStatus.AVAILABLE)
    reservation_id: Mapped[UUID | None]
    held_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(Integer, server_default="0", default=0)
