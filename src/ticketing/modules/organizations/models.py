"""Tenants, who works for them, and what they did."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class Role(StrEnum):
    """What a member may do, in one organization."""

    #: Everything, members and keys included.
    ORG_ADMIN = "ORG_ADMIN"
    #: Venues, events, orders and refunds.
    ORG_STAFF = "ORG_STAFF"
    #: The door.
    ORG_SCANNER = "ORG_SCANNER"


_ROLES = CheckConstraint("role in ('ORG_ADMIN', 'ORG_STAFF', 'ORG_SCANNER')", name="role")


class Organization(Identified, Base):
    """A tenant."""

    __tablename__ = "organizations"

    name: Mapped[str] = mapped_column(Text)
    slug: Mapped[str] = mapped_column(Text, unique=True)


class Member(Base):
    """A person's role in an organization."""

    __tablename__ = "members"
    __table_args__ = (_ROLES,)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[Role] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ApiKey(Identified, Base):
    """A key for machines; only its hash is kept, and a prefix by which people tell keys apart."""

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
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Identified, Base):
    """Who changed what, from what to what. Append-only: a trigger refuses anything else."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_organization_id_id", "organization_id", "id"),)

    organization_id: Mapped[UUID] = mapped_column(ForeignKey("organizations.id"))
    actor: Mapped[str] = mapped_column(Text)
    action: Mapped[str] = mapped_column(Text)
    subject: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    correlation_id: Mapped[str] = mapped_column(Text)
