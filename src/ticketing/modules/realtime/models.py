"""The version of an event's seat map."""

from uuid import UUID

from sqlalchemy import BigInteger, Text
from sqlalchemy.orm import Mapped, mapped_column

from ticketing.infra.db import Base


class EventStream(Base):
    """Incremented once per frame, by the realtime consumer only: requests would queue for the row lock."""

    __tablename__ = "event_streams"

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    event_id: Mapped[UUID] = mapped_column(primary_key=True, unique=True)
    #: Random at creation; a viewer that resumes with another epoch gets a snapshot.
    epoch: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(BigInteger, server_default="0", default=0)
