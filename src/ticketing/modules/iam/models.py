"""Accounts and their login sessions."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class User(Identified, Base):
    """A person with an account: buyer, organizer or both."""

    __tablename__ = "users"
    __table_args__ = (Index("ix_users_erased_at", "erased_at", postgresql_where=text("erased_at is not null")),)

    email: Mapped[str] = mapped_column(Text)
    #: Lower case, unique. Folded in Python, because the embedded Postgres is built without ICU.
    email_normalized: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    #: When a link that was mailed to `email` was used; None until then. Buying does not require it.
    email_verified_at: Mapped[datetime | None]
    #: When the account was erased. The row stays, because orders refer to it, but contains no personal data.
    erased_at: Mapped[datetime | None]


class EndReason(StrEnum):
    """Why a session ended before it expired."""

    LOG_OUT = "log_out"
    LOG_OUT_EVERYWHERE = "log_out_everywhere"
    ENDED_BY_OWNER = "ended_by_owner"
    ENDED_BY_OPERATOR = "ended_by_operator"
    #: A spent refresh token was used again: someone else has a copy.
    TOKEN_REUSED = "token_reused"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    TOO_MANY = "too_many"
    ACCOUNT_ERASED = "account_erased"


class LogInSession(Identified, Base):
    """A login session. What it stores about the client is shown to its user only."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(revoked_at is null) = (end_reason is null)", name="end_reason"),
        Index("ix_sessions_revoked_at", "revoked_at", postgresql_where=text("revoked_at is not null")),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: Time of the last refresh, hence accurate to ACCESS_TOKEN_SECONDS; ordinary requests do not update it.
    last_used_at: Mapped[datetime]
    #: When it ends without a further refresh: at most SESSION_SECONDS_MAX after `created_at`.
    expires_at: Mapped[datetime] = mapped_column(index=True)
    user_agent: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    revoked_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None] = mapped_column(Text)


class RefreshToken(Identified, Base):
    """A single-use token that extends a session. Using it a second time ends the session."""

    __tablename__ = "refresh_tokens"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    spent_at: Mapped[datetime | None]
    #: The fingerprint of the client that spent it.
    spent_by: Mapped[bytes | None] = mapped_column(LargeBinary)
