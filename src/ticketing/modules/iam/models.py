"""People, and the log-ins that they hold."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class User(Identified, Base):
    """A person with an account: buyer, organizer or both."""

    __tablename__ = "users"

    email: Mapped[str] = mapped_column(Text)
    #: Lower case; what makes an account unique. The wheel's Postgres has no ICU, so Python folds.
    email_normalized: Mapped[str] = mapped_column(Text, unique=True)
    display_name: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)


class RefreshToken(Identified, Base):
    """One link in a family of refresh tokens: spent when used; the return of a spent one revokes the family."""

    __tablename__ = "refresh_tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    family_id: Mapped[UUID] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(Text, unique=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    spent_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
