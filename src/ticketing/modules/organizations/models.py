"""Tenants, members, support agents, API keys and the audit log."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class Role(StrEnum):
    """The role of a member in one organization."""

    #: Everything, members and keys included.
    ORG_ADMIN = "ORG_ADMIN"
    #: Venues, events, orders and refunds.
    ORG_STAFF = "ORG_STAFF"
    #: Check-in at the entrance.
    ORG_SCANNER = "ORG_SCANNER"


_ROLES = CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name="role")


class ProviderRefundTickets(StrEnum):
    """What happens to the tickets of an order whose money has all gone back at the payment provider."""

    #: They stay valid until staff void them.
    KEEP = "keep"
    #: They are voided, and their seats and places are on sale again.
    VOID = "void"


class Organization(Identified, Base):
    """A tenant."""

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint("buyer_data_days between 30 and 3650", name="buyer_data_days"),
        CheckConstraint("provider_refund_tickets in ('keep', 'void')", name="provider_refund_tickets"),
    )

    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    #: Days after an event's end until its buyers' names and addresses are erased; null keeps them.
    buyer_data_days: Mapped[int | None] = mapped_column(Integer)
    provider_refund_tickets: Mapped[ProviderRefundTickets] = mapped_column(
        Text, server_default="keep", default=ProviderRefundTickets.KEEP
    )


class Member(Base):
    """A person's role in an organization."""

    __tablename__ = "members"
    __table_args__ = (_ROLES,)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[Role] = mapped_column(Text)
    #: When an admin has accepted to be one; None for other roles, and for a new admin who has not accepted yet.
    admin_accepted_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Invitation(Identified, Base):
    """The offer of a membership to an address, until it is accepted, declined, withdrawn or expired."""

    __tablename__ = "invitations"
    __table_args__ = (
        CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name="role"),
        UniqueConstraint("organization_id", "email"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    #: In the form that is compared.
    email: Mapped[str] = mapped_column(Text, index=True)
    role: Mapped[Role] = mapped_column(Text)
    invited_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    expires_at: Mapped[datetime] = mapped_column(index=True)


class SupportAgent(Base):
    """A user who may read every organization. Granted by an operator's command, never by the API."""

    __tablename__ = "support_people"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    granted_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Identified, Base):
    """A key for machines: only its hash is stored, and a prefix by which people recognise it."""

    __tablename__ = "api_keys"
    __table_args__ = (
        UniqueConstraint("organization_id", "id"),
        CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name="role"),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    key_hash: Mapped[str] = mapped_column(Text, unique=True)
    role: Mapped[Role] = mapped_column(Text)
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    #: None for a key that is valid until it is revoked.
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Identified, Base):
    """A change with its actor, values before and after, and client.

    Append-only: triggers refuse to change an entry, and to delete one that is younger than a year.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_organization_id_id", "organization_id", "id"),
        Index("ix_audit_log_created_at", "created_at"),
        # Finds the organizations that a user has ever worked for, which their export covers.
        Index("ix_audit_log_actor_organization_id", "actor", "organization_id"),
        Index("ix_audit_log_subject_organization_id", "subject", "organization_id"),
        Index(
            "ix_audit_log_support_reads",
            "organization_id",
            "actor",
            "created_at",
            postgresql_where=text("action = 'support.read'"),
        ),
    )

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    correlation_id: Mapped[str] = mapped_column(Text)
    #: Address and user agent of the client; None for changes without a request.
    address: Mapped[str | None] = mapped_column(Text)
    user_agent: Mapped[str | None] = mapped_column(Text)
