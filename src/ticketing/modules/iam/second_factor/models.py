"""The second factor of a user."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, ForeignKey, LargeBinary, SmallInteger, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base


class SecondFactor(Base):
    """One per user, required at login once it is confirmed."""

    __tablename__ = "second_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    #: The secret shared with the authenticator app, encrypted.
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    #: None until a first code proves that the app has the secret.
    confirmed_at: Mapped[datetime | None]
    #: The time step of the last accepted code; codes of this or an older step are refused.
    last_step: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
    #: Hashes of the unused recovery codes.
    recovery_hashes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{}")
    #: Wrong codes since `tries_since`.
    tries: Mapped[int] = mapped_column(SmallInteger, server_default="0", default=0)
    tries_since: Mapped[datetime | None]
