"""What was promised by letter: a link that is good once, for a while, for one purpose."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class Purpose(StrEnum):
    """What a link is for; one that was made for the one purpose is worth nothing for the other."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105


class MailToken(Identified, Base):
    """A link in a letter. Its secret part is derived from the id when it is needed, and stands nowhere."""

    __tablename__ = "mail_tokens"
    __table_args__ = (CheckConstraint("purpose in ('verify_email', 'reset_password')", name="purpose"),)

    #: None until the consumer has looked whether anybody has the address: the request itself must not know.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[Purpose] = mapped_column(Text)
    #: Where the letter goes, normalized as accounts are.
    email: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
