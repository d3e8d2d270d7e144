"""Tickets, the right to enter; the devices at the door, and every scan."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class TicketStatus(StrEnum):
    """issued -> checked_in, or voided from either."""

    ISSUED = "issued"
    CHECKED_IN = "checked_in"
    VOIDED = "voided"


class ScanResult(StrEnum):
    """What the door was told."""

    ADMITTED = "admitted"
    ALREADY_CHECKED_IN = "already_checked_in"
    VOIDED = "voided"


class Ticket(Identified, Base):
    """One person's right to enter."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        # Issued once: a line of an order has as many tickets as its quantity, each with its own unit.
        UniqueConstraint("organization_id", "order_id", "position", "unit"),
        ForeignKeyConstraint(["organization_id", "order_id"], ["orders.organization_id", "orders.id"]),
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        CheckConstraint("status in ('issued', 'checked_in', 'voided')", name="status"),
        CheckConstraint("(status = 'checked_in') <= (checked_in_at is not null)", name="checked_in_at"),
        Index(
            "uq_tickets_one_per_seat",
            "organization_id",
            "event_id",
            "seat_number",
            unique=True,
            postgresql_where=text("seat_number is not null and status <> 'voided'"),
        ),
        Index("ix_tickets_organization_id_event_id", "organization_id", "event_id"),
        Index("ix_tickets_user_id_id", "user_id", "id"),
    )

    organization_id: Mapped[UUID]
    order_id: Mapped[UUID]
    event_id: Mapped[UUID]
    #: Whose ticket it is now; a transfer changes it, and the code with it.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    unit: Mapped[int] = mapped_column(SmallInteger)
    seat_number: Mapped[int | None] = mapped_column(Integer)
    seat_label: Mapped[str | None] = mapped_column(Text)
    ticket_type_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    holder_name: Mapped[str] = mapped_column(Text)
    status: Mapped[TicketStatus] = mapped_column(Text, default=TicketStatus.ISSUED)
    #: Part of the signed code: raised by a transfer, so that the old code no longer opens the door.
    code_version: Mapped[int] = mapped_column(SmallInteger, server_default="1", default=1)
    checked_in_at: Mapped[datetime | None]
    checked_in_gate: Mapped[str | None] = mapped_column(Text)


class Device(Identified, Base):
    """A scanner that is let into one event's door and nothing else; only its token's hash is kept."""

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        Index("ix_devices_organization_id_event_id_id", "organization_id", "event_id", "id"),
    )

    organization_id: Mapped[UUID]
    event_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    #: Where it stands: the gate of its scans that name none.
    gate: Mapped[str | None] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class CheckIn(Identified, Base):
    """One scan. At most one of a ticket's scans admitted, by index."""

    __tablename__ = "check_ins"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        ForeignKeyConstraint(["organization_id", "ticket_id"], ["tickets.organization_id", "tickets.id"]),
        CheckConstraint("result in ('admitted', 'already_checked_in', 'voided')", name="result"),
        Index("ix_check_ins_organization_id_event_id_id", "organization_id", "event_id", "id"),
        Index("uq_check_ins_one_admission", "ticket_id", unique=True, postgresql_where=text("result = 'admitted'")),
        Index(
            "uq_check_ins_nonce",
            "organization_id",
            "event_id",
            "nonce",
            unique=True,
            postgresql_where=text("nonce is not null"),
        ),
    )

    organization_id: Mapped[UUID]
    event_id: Mapped[UUID]
    ticket_id: Mapped[UUID]
    result: Mapped[ScanResult] = mapped_column(Text)
    gate: Mapped[str | None] = mapped_column(Text)
    #: The scanning device's own word for this scan: a scan sent twice is one scan.
    nonce: Mapped[str | None] = mapped_column(Text)
    scanned_at: Mapped[datetime]
    scanned_by: Mapped[str] = mapped_column(Text)
