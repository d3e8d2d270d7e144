"""Tables of tickets, of devices at the door, and of scans."""

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
    """issued -> checked_in; either of them -> voided."""

    ISSUED = "issued"
    CHECKED_IN = "checked_in"
    VOIDED = "voided"


class ScanResult(StrEnum):
    """The result of a scan that was recorded."""

    ADMITTED = "admitted"
    ALREADY_CHECKED_IN = "already_checked_in"
    VOIDED = "voided"


class Ticket(Identified, Base):
    """One person's right to enter."""

    __tablename__ = "tickets"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        # Makes issuing idempotent: an order line has one ticket per unit of its quantity.
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
    #: The present holder. A transfer changes it together with `code_version`.
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    position: Mapped[int] = mapped_column(SmallInteger)
    unit: Mapped[int] = mapped_column(SmallInteger)
    seat_number: Mapped[int | None] = mapped_column(Integer)
    seat_label: Mapped[str | None] = mapped_column(Text)
    ticket_type_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    holder_name: Mapped[str] = mapped_column(Text)
    status: Mapped[TicketStatus] = mapped_column(Text, default=TicketStatus.ISSUED)
    #: Part of the signed code. Incremented by a transfer, which invalidates the previous code.
    code_version: Mapped[int] = mapped_column(SmallInteger, server_default="1", default=1)
    checked_in_at: Mapped[datetime | None]
    checked_in_gate: Mapped[str | None] = mapped_column(Text)


class Device(Identified, Base):
    """A scanner with a token for check-ins at one event and nothing else. Only the hash of the token is stored."""

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        Index("ix_devices_organization_id_event_id_id", "organization_id", "event_id", "id"),
    )

    organization_id: Mapped[UUID]
    event_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    #: Default gate of scans that name none.
    gate: Mapped[str | None] = mapped_column(Text)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class CheckIn(Identified, Base):
    """One scan. A unique index allows at most one admission per ticket."""

    __tablename__ = "check_ins"
    __table_args__ = (
        ForeignKeyConstraint(["organization_id", "event_id"], ["events.organization_id", "events.id"]),
        ForeignKeyConstraint(["organization_id", "ticket_id"], ["tickets.organization_id", "tickets.id"]),
        CheckConstraint("result in ('admitted', 'already_checked_in', 'voided')", name="result"),
        Index("ix_check_ins_organization_id_event_id_id", "organization_id", "event_id", "id"),
        # For the clean-up. Admissions stay with their ticket.
        Index("ix_check_ins_refused", "created_at", postgresql_where=text("result <> 'admitted'")),
        Index("ix_check_ins_organization_id_ticket_id", "organization_id", "ticket_id"),
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
    #: Idempotency key chosen by the scanning device: a scan that is sent twice is recorded once.
    nonce: Mapped[str | None] = mapped_column(Text)
    #: The scanner's time within bounds, else the time of arrival (see checkin/scan_times.py).
    scanned_at: Mapped[datetime]
    #: The scanner's time, where it was replaced by the time of arrival.
    claimed_at: Mapped[datetime | None]
    scanned_by: Mapped[str] = mapped_column(Text)
