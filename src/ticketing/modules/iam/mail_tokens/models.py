"""Single-use links in emails."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base, Identified


class Purpose(StrEnum):
    """What a link is for. A link is valid for its own purpose only."""

    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105
    #: Sent to the address of an order that is not the verified address of its buyer.
    CONFIRM_RECIPIENT = "confirm_recipient"


class MailToken(Identified, Base):
    """A link in an email. Its token is derived from the id when needed, and is not stored."""

    __tablename__ = "mail_tokens"
    __table_args__ = (
        CheckConstraint("purpose in ('verify_email', 'reset_password', 'confirm_recipient')", name="purpose"),
    )

    #: None until the consumer has looked up the account: the request itself must not depend on whether there is one.
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[Purpose] = mapped_column(Text)
    #: The recipient, as given in the request or by the account.
    email: Mapped[str] = mapped_column(Text, index=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class ConfirmedRecipient(Base):
    """An address whose owner wants the emails about one person's orders."""

    __tablename__ = "confirmed_recipients"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    #: In the form that is compared.
    email: Mapped[str] = mapped_column(Text, primary_key=True, index=True)
    confirmed_at: Mapped[datetime] = mapped_column(server_default=func.now())
