"""People, and the log-ins that they hold."""

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
    #: Lower case; what makes an account unique. The wheel's Postgres has no ICU, so Python folds.
    email_normalized: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    #: When a link that was mailed to `email` came back; None until then. An unverified person may buy all the same.
    email_verified_at: Mapped[datetime | None]
    #: When the person had themselves erased. The row stays, because orders refer to it, and says nothing about anybody.
    erased_at: Mapped[datetime | None]


class EndReason(StrEnum):
    """Why a log-in ended before its time."""

    LOG_OUT = "log_out"
    LOG_OUT_EVERYWHERE = "log_out_everywhere"
    ENDED_BY_OWNER = "ended_by_owner"
    ENDED_BY_OPERATOR = "ended_by_operator"
    #: A spent refresh token came back: somebody else holds a copy.
    TOKEN_REUSED = "token_reused"  # noqa: S105
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    PASSWORD_RESET = "password_reset"  # noqa: S105
    SECOND_FACTOR_CHANGED = "second_factor_changed"
    TOO_MANY = "too_many"
    ACCOUNT_ERASED = "account_erased"


class LogInSession(Identified, Base):
    """One log-in, from the password to its end. What it says of the client is for its owner's eyes."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(revoked_at is null) = (end_reason is null)", name="end_reason"),
        Index("ix_sessions_revoked_at", "revoked_at", postgresql_where=text("revoked_at is not null")),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    #: The time of the last refresh: true to ACCESS_TOKEN_SECONDS, and no request writes it.
    last_used_at: Mapped[datetime]
    #: When it is over if nobody refreshes it; no refresh moves it beyond SESSION_SECONDS_MAX after `created_at`.
    expires_at: Mapped[datetime] = mapped_column(index=True)
    user_agent: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    revoked_at: Mapped[datetime | None]
    end_reason: Mapped[EndReason | None] = mapped_column(Text)


class RefreshToken(Identified, Base):
    """One link in the chain that keeps a log-in alive: spent when used; one that comes back ends the log-in."""

    __tablename__ = "refresh_tokens"

    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    spent_at: Mapped[datetime | None]
    #: The fingerprint of the client that spent it.
    spent_by: Mapped[bytes | None] = mapped_column(LargeBinary)
